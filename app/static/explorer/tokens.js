// Private tokens for one's own programs, and the places where one is signed in.

import { account } from './account.js'
import { get, post, remove } from './api.js'
import { fill, h } from './dom.js'
import { dayEnds } from './format.js'
import { careful, check, empty, field, form, secret, table, when } from './forms.js'
import { strings } from './strings.js'

const words = strings.tokensPage

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const [tokens, sessions, made] = [h('div'), h('div'), h('div')]
  const look = async () => {
    const [known, open] = await Promise.all([get('me/tokens'), get('sessions')])
    const act = (path) => async () => (await remove(path), await look())
    fill(
      tokens,
      known.length
        ? table(
            [words.name, words.scopes, words.used, words.expires, ''],
            known.map((token) => [token.name, scopesSaid(token.scopes), when(token.last_used_at), token.expires_at ? when(token.expires_at) : words.never, actions(careful(words.revoke, words.really, act(`me/tokens/${token.id}`)))]),
          )
        : empty(words.emptyTitle, words.emptyText),
    )
    fill(
      sessions,
      table(
        [words.where, words.since, words.until, ''],
        open.map((session) => [session.application ?? words.signedIn, when(session.created_at), when(session.expires_at), actions(session.current ? words.here : careful(words.end, words.really, act(`sessions/${session.id}`)))]),
      ),
    )
  }
  const making = form(
    {
      submit: words.make,
      onSubmit: async ({ name, expires_at }, element) => {
        const scopes = [...element.querySelectorAll('[name=scopes]:checked')].map(({ value }) => value)
        const { token } = await post('me/tokens', { name, scopes, expires_at: dayEnds(expires_at) })
        fill(made, h('p', {}, words.once), secret(token))
        element.reset()
        await look()
      },
    },
    field(words.name, h('input', { name: 'name', required: true }), words.nameHint),
    scopesField(words.scopes),
    field(words.expires, h('input', { name: 'expires_at', type: 'date' }), words.expiresHint),
  )
  fill(
    frame.content,
    h('div', { class: 'card' }, h('h3', {}, words.title), tokens),
    h('div', { class: 'card' }, h('h3', {}, words.makeTitle), making, made),
    h('div', { class: 'card' }, h('h3', {}, words.sessions), sessions),
  )
  await look()
}

const actions = (...children) => h('td', { class: 'actions' }, children)

export const scopesSaid = (scopes) => scopes.map((scope) => strings.scopes[scope] ?? scope).join(', ')

/** What a token or an application may do, to be ticked. */
export const scopesField = (label) =>
  h('fieldset', { class: 'field' }, h('legend', {}, label), Object.entries(strings.scopes).map(([value, name]) => check(name, { name: 'scopes', value })))
