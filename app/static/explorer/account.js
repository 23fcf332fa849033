// The frame of the pages for whoever has signed in: their list at the side, a title, a sentence on what the page is for.

import { read } from './address.js'
import { h } from './dom.js'
import { user } from './session.js'
import { signInForm } from './sign_in.js'
import { strings } from './strings.js'

const LINKS = ['mine', 'register', 'quarantine', 'experiments', 'exports', 'notifications', 'tokens', 'applications', 'account']

/** {content, user}: where the page's own parts go; null for nobody, who is shown the way in instead. */
export async function account(panel, { title, lead }) {
  const known = await user()
  document.title = `${title} · Almanac`
  if (known === null) {
    panel.replaceChildren(h('div', { class: 'alone' }, h('h2', {}, title), h('p', { class: 'lead' }, lead), signInForm()))
    return null
  }
  const here = read().parts[0]
  const links = LINKS.map((name) => h('a', { href: `#/${name}`, 'aria-current': name === here ? 'page' : null }, strings.pages[name]))
  const content = h('div', { class: 'content' })
  panel.replaceChildren(
    h('div', { class: 'account' }, h('nav', { 'aria-label': strings.yours }, links), h('div', {}, h('h2', {}, title), h('p', { class: 'lead' }, lead), content)),
  )
  panel.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }) // on a phone they are wider than it is
  return { content, user: known }
}
