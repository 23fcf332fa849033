// One's own account: who one is, another password, and how one leaves.

import { account } from './account.js'
import { get, patch, remove } from './api.js'
import { fill, h, toast } from './dom.js'
import { field, form } from './forms.js'
import { signOut } from './session.js'
import { strings } from './strings.js'

const words = strings.accountPage

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const me = await get('me')
  const card = (title, ...parts) => h('div', { class: 'card' }, h('h3', {}, title), parts)
  fill(frame.content, card(words.about, describing(me)), card(words.password, changingPassword()), card(words.leave, h('p', {}, words.leaveAbout), leaving(me)))
}

function describing(me) {
  const text = (name, value, attributes) => h('input', { name, value: value ?? '', ...attributes })
  return form(
    {
      submit: words.save,
      onSubmit: async ({ username, email, city, country_code, url }) => {
        await patch('me', { username, email, city: city || null, country_code: country_code || null, url: url || null })
        toast(words.saved)
      },
    },
    field(words.username, text('username', me.username, { autocomplete: 'username', autocapitalize: 'none' }), words.usernameHint),
    field(words.email, text('email', me.email, { type: 'email', autocomplete: 'email' }), words.emailHint),
    h('div', { class: 'row' }, field(words.city, text('city', me.location.city)), field(words.country, text('country_code', me.location.country_code, { maxlength: '2' }), words.countryHint)),
    field(words.url, text('url', me.url, { type: 'url' })),
  )
}

function changingPassword() {
  return form(
    {
      submit: words.change,
      onSubmit: async ({ password }, element) => {
        await patch('me', { password })
        element.reset()
        toast(words.changed)
      },
    },
    field(words.newPassword, h('input', { name: 'password', type: 'password', autocomplete: 'new-password', required: true }), words.passwordHint),
  )
}

function leaving(me) {
  return form(
    {
      submit: words.close,
      onSubmit: async ({ sure }) => {
        if (sure !== me.username) throw Object.assign(new Error(words.notSure), { fields: { sure: words.notSure } })
        await remove('me')
        await signOut()
        location.hash = '#/'
        toast(words.closed)
      },
    },
    field(words.sure(me.username), h('input', { name: 'sure', autocomplete: 'off', autocapitalize: 'none' })),
  )
}
