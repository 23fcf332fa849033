// The links at the top: what there is for everybody, and for whoever has signed in.

import { attempt, h } from './dom.js'
import { onChange, signOut, user } from './session.js'
import { strings } from './strings.js'

/** Keeps the links right; `onUser` is told when somebody has signed in or out. */
export async function startMenu(element, onUser) {
  const draw = (known) => {
    const out = h('button', { type: 'button', class: 'link', onclick: () => attempt(leave) }, strings.signOut)
    const links = known ? [h('a', { href: '#/mine' }, strings.mine), out] : [h('a', { href: '#/sign-in' }, strings.signIn)]
    element.replaceChildren(h('a', { href: '/docs' }, strings.api), ...links)
  }
  const leave = async () => {
    await signOut()
    location.hash = '#/'
  }
  draw(null)
  onChange((known) => {
    draw(known)
    onUser(known)
  })
  draw(await attempt(user))
}
