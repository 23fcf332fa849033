// Sign in, or sign up and be signed in.

import { post } from './api.js'
import { h, toast } from './dom.js'
import { field, form } from './forms.js'
import { signIn } from './session.js'
import { strings } from './strings.js'

const words = strings.entry

export async function show(panel) {
  document.title = `${strings.signIn} · Almanac`
  panel.replaceChildren(h('div', { class: 'alone' }, h('h2', {}, words.title), signInForm()))
}

/** The form, and in its place those for who has no account yet, or no password any more. */
export function signInForm() {
  const place = h('div', { class: 'card' })
  const turn = (open) => {
    place.replaceChildren(open())
    place.querySelector('input').focus()
  }
  const other = (label, open) => h('button', { type: 'button', class: 'link', onclick: () => turn(open) }, label)
  const known = () =>
    form(
      { submit: strings.signIn, onSubmit: ({ username, password }) => signIn(username, password), buttons: [other(words.toSignUp, stranger), other(words.forgotten, forgetful)] },
      field(words.login, h('input', { name: 'username', autocomplete: 'username', autocapitalize: 'none', required: true })),
      field(words.password, h('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true })),
    )
  const stranger = () =>
    form(
      {
        submit: words.signUp,
        onSubmit: async ({ username, email, password }) => {
          await post('users', { username, email, password })
          await signIn(username, password)
        },
        buttons: [other(words.toSignIn, known)],
      },
      field(words.username, h('input', { name: 'username', autocomplete: 'username', autocapitalize: 'none', required: true }), words.usernameHint),
      field(words.email, h('input', { name: 'email', type: 'email', autocomplete: 'email', required: true }), words.emailHint),
      field(words.newPassword, h('input', { name: 'password', type: 'password', autocomplete: 'new-password', required: true }), words.passwordHint),
    )
  const forgetful = () =>
    form(
      {
        submit: words.mailMe,
        onSubmit: async ({ email_or_username }) => {
          await post('password_resets', { email_or_username })
          toast(words.mailed)
        },
        buttons: [other(words.toSignIn, known)],
      },
      field(words.login, h('input', { name: 'email_or_username', autocomplete: 'username', autocapitalize: 'none', required: true }), words.mailHint),
    )
  place.append(known())
  return place
}
