// Applications that act for other people by OAuth2: register one, renew its secret, take it away.

import { account } from './account.js'
import { post, remove } from './api.js'
import { fill, h } from './dom.js'
import { careful, check, empty, field, form, secret } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'
import { scopesField, scopesSaid } from './tokens.js'

const words = strings.applicationsPage
const SHOWN = 25

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const list = h('div')
  const once = h('div')
  const reveal = ({ client_secret: known, name }) => fill(once, known ? [h('p', {}, words.once(name)), secret(known)] : null)
  const look = async (page = 1) => {
    const { rows, total, turner } = await pages('applications', { per_page: SHOWN, page })
    fill(list, total ? [...rows.map(card), turner(look)] : empty(words.emptyTitle, words.emptyText))
  }
  const card = (application) => {
    const renew = async () => reveal(await post(`applications/${application.id}/secret`))
    const drop = async () => (await remove(`applications/${application.id}`), await look())
    return h(
      'article',
      { class: 'card' },
      h('h3', {}, application.name),
      h('dl', { class: 'about' }, [
        ...[h('dt', {}, words.clientId), h('dd', {}, h('code', {}, application.client_id))],
        ...[h('dt', {}, words.redirects), h('dd', {}, application.redirect_uris.join(', ') || '–')],
        ...[h('dt', {}, words.scopes), h('dd', {}, scopesSaid(application.scopes))],
      ]),
      h(
        'div',
        { class: 'buttons' },
        application.confidential ? careful(words.renew, words.reallyRenew, renew) : h('small', {}, words.open),
        careful(words.remove, words.reallyRemove, drop),
      ),
    )
  }
  const making = form(
    {
      submit: words.make,
      onSubmit: async ({ name, redirect_uri }, element) => {
        const scopes = [...element.querySelectorAll('[name=scopes]:checked')].map(({ value }) => value)
        reveal(await post('applications', { name, scopes, redirect_uris: redirect_uri.split(/\s+/).filter(Boolean), confidential: element.elements.confidential.checked }))
        element.reset()
        await look()
      },
    },
    field(words.name, h('input', { name: 'name', required: true }), words.nameHint),
    field(words.redirects, h('textarea', { name: 'redirect_uri', rows: '2', class: 'code' }), words.redirectsHint),
    scopesField(words.scopes),
    check(words.confidential, { name: 'confidential', checked: true }),
  )
  fill(frame.content, list, h('div', { class: 'card' }, h('h3', {}, words.makeTitle), making, once))
  await look()
}
