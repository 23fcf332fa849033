// Private tokens for one's own programs, and the places where one is signed in.

import { account } from './account.js'
import { post, remove } from './api.js'
import { fill, h } from './dom.js'
import { dayEnds } from './format.js'
import { careful, check, empty, field, form, secret, table, when } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'

const words = strings.tokensPage
const SHOWN = 25

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const [tokens, sessions, made] = [h('div'), h('div'), h('div')]
  const showTokens = async (page = 1) => {
    const { rows, total, turner } = await pages('me/tokens', { per_page: SHOWN, page })
    const revoke = (token) => async () => (await remove(`me/tokens/${token.id}`), await showTokens())
    const row = (token) => [token.name, scopesSaid(token.scopes), when(token.last_used_at), token.expires_at ? when(token.expires_at) : words.never, actions(careful(words.revoke, words.really, revoke(token)))]
    if (!total) return fill(tokens, empty(words.emptyTitle, words.emptyText))
    fill(tokens, table([words.name, words.scopes, words.used, words.expires, ''], rows.map(row)), turner(showTokens))
  }
  const showSessions = async (page = 1) => {
    const { rows, turner } = await pages('sessions', { per_page: SHOWN, page })
    const end = (session) => async () => (await remove(`sessions/${session.id}`), await showSessions())
    const row = (session) => [whoIs(session), when(session.created_at), when(session.expires_at), actions(session.current ? words.here : careful(words.end, words.really, end(session)))]
    fill(sessions, table([words.where, words.since, words.until, ''], rows.map(row)), turner(showSessions))
  }
  const making = form(
    {
      submit: words.make,
      onSubmit: async ({ name, expires_at }, element) => {
        const scopes = [...element.querySelectorAll('[name=scopes]:checked')].map(({ value }) => value)
        const { token } = await post('me/tokens', { name, scopes, expires_at: dayEnds(expires_at) })
        fill(made, h('p', {}, words.once), secret(token))
        element.reset()
        await showTokens()
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
  await Promise.all([showTokens(), showSessions()])
}

const whoIs = ({ application, client, network }) => (application ? application : h('div', {}, client ?? words.signedIn, h('br'), h('small', {}, network)))

const actions = (...children) => h('td', { class: 'actions' }, children)

export const scopesSaid = (scopes) => scopes.map((scope) => strings.scopes[scope] ?? scope).join(', ')

/** What a token or an application may do, to be ticked. */
export const scopesField = (label) =>
  h('fieldset', { class: 'field' }, h('legend', {}, label), Object.entries(strings.scopes).map(([value, name]) => check(name, { name: 'scopes', value })))
