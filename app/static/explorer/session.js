// Who has signed in at this browser. The cookie is the server's to read; the access token lives in this page's memory alone.

import { strings } from './strings.js'

let formToken = ''
let known = null // {id, username, role, access_token}
let asked = null // the first question, which others wait for

const changed = new EventTarget()

/** Calls back with the user, or null, whenever somebody has signed in or out. */
export const onChange = (tell) => changed.addEventListener('change', () => tell(known))

/** The signed-in user, or null. */
export async function user() {
  await ready()
  return known
}

/** Headers that show who is asking. */
export async function credentials() {
  await ready()
  return known ? { Authorization: `Bearer ${known.access_token}` } : {}
}

/** Gets another access token for the same sign-in; whether there is one. */
export async function renew() {
  if (known === null) return false
  await ask()
  return known !== null
}

export async function signIn(username, password) {
  if (!formToken) await ask()
  await ask('', { username, password })
}

export async function signOut() {
  await ask('/end', {})
}

/** Who has never signed in here is not asked about: the page says so itself. */
function ready() {
  asked ??= document.documentElement.dataset.session === 'kept' ? ask() : Promise.resolve()
  return asked
}

async function ask(path = '', form = null) {
  const body = form && new URLSearchParams({ ...form, form_token: formToken })
  let answer
  try {
    answer = await fetch(`/ui/session${path}`, { method: form ? 'POST' : 'GET', body, cache: 'no-store' })
  } catch {
    throw new Error(strings.network)
  }
  const said = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Error(said.message ?? `${answer.status} ${answer.statusText}`)
  const before = known?.id
  formToken = said.form_token
  known = said.user
  if (before !== known?.id) changed.dispatchEvent(new Event('change'))
}
