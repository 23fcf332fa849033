// The explorer: a map of all devices, beside it the device that the address names, and pages for whoever has signed in.

import { read } from './address.js'
import { attempt, fill, h } from './dom.js'
import { age } from './format.js'
import { DeviceMap } from './map.js'
import { startMenu } from './menu.js'
import { startSearch } from './search.js'
import { strings } from './strings.js'

const COUNTED_EVERY = 10_000 // ms, how long ago something was

const panel = document.getElementById('panel')
const map = new DeviceMap(document.getElementById('map'), document.getElementById('legend'))

/** Pages by the first part of their address, or the third of a device's; each is loaded when it is first wanted. */
const PAGES = {
  'sign-in': () => import('./sign_in.js'),
  mine: () => import('./my_devices.js'),
  register: () => import('./register.js'),
  quarantine: () => import('./quarantine.js'),
  experiments: () => import('./experiments.js'),
  exports: () => import('./exports.js'),
  notifications: () => import('./notifications.js'),
  tokens: () => import('./tokens.js'),
  applications: () => import('./applications.js'),
  account: () => import('./own_account.js'),
}
const DEVICE_PAGES = {
  health: () => import('./health.js'),
  configuration: () => import('./configuration.js'),
  settings: () => import('./settings.js'),
  calibrate: () => import('./calibrate.js'),
}

let shown = null // what of the address is open
let page = null

/** What the address names: {load, wide}, or null for the map alone. */
function named({ parts, device }) {
  if (device !== null && parts.length === 2) return { load: () => import('./device.js'), wide: false }
  const load = device !== null ? DEVICE_PAGES[parts[2]] : PAGES[parts[0]]
  return load ? { load, wide: true } : null
}

async function follow() {
  const route = read()
  shown = route
  page?.end?.()
  page = null
  const found = named(route)
  document.body.classList.toggle('with-panel', found !== null)
  document.body.classList.toggle('with-page', Boolean(found?.wide))
  map.resize()
  map.mark()
  document.title = 'Almanac'
  if (found === null) {
    panel.replaceChildren()
    return map.follow(route.view)
  }
  const place = h('div', {}, h('p', { class: 'note' }, strings.loading)) // its own: who comes late fills what nobody sees any more
  panel.replaceChildren(place)
  try {
    const { show } = await found.load().catch(() => Promise.reject(new Error(strings.network)))
    const opened = await show(place, route)
    if (shown !== route) return opened?.end?.() // another was chosen meanwhile
    page = opened
  } catch (error) {
    if (shown !== route) return
    fill(place, failed(error))
  }
  if (page?.place) map.mark(page.place)
  panel.scrollTop = 0
  panel.focus({ preventScroll: true })
}

/** What stands in the place of a page that cannot be shown; its address stays. */
function failed({ message }) {
  const again = h('button', { type: 'button', class: 'main', onclick: follow }, strings.tryAgain)
  return h('div', { class: 'empty alone', role: 'alert' }, h('h2', {}, strings.notShown), h('p', {}, message), h('div', { class: 'buttons' }, again, h('a', { class: 'button', href: '#/' }, strings.back)))
}

/** Does something on the map once it can be seen. */
async function toMap(task) {
  if (document.body.classList.contains('with-page')) {
    history.pushState(null, '', '#/')
    await follow()
  }
  task()
}

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault() // the address says what is shown
  const beyond = document.body.classList.contains('with-panel') ? panel : document.querySelector('#legend summary')
  beyond.focus()
})
window.addEventListener('hashchange', follow)
startMenu(document.getElementById('menu'), async (user) => {
  if (user && read().parts[0] === 'sign-in') history.replaceState(null, '', '#/mine')
  await Promise.all([attempt(() => map.look()), follow()]) // what one may see has changed
})
startSearch(document.getElementById('search'), {
  fly: (place) => toMap(() => map.fly(place)),
  filter: (tag) => toMap(() => map.filter(tag)),
})
attempt(() => map.start())
setInterval(() => document.querySelectorAll('time.age').forEach((time) => (time.textContent = age(time.dateTime))), COUNTED_EVERY)
follow()
