// The explorer: a map of all devices, beside it the device that the address names, and pages for whoever has signed in.

import { read } from './address.js'
import { attempt, h } from './dom.js'
import { DeviceMap } from './map.js'
import { startMenu } from './menu.js'
import { startSearch } from './search.js'
import { strings } from './strings.js'

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
}
const DEVICE_PAGES = {
  health: () => import('./health.js'),
  configuration: () => import('./configuration.js'),
  settings: () => import('./settings.js'),
  calibrate: () => import('./calibrate.js'),
}

let shown = null // the path of the page that is open
let page = null

/** What the address names: {load, wide}, or null for the map alone. */
function named({ parts, device }) {
  if (device !== null && parts.length === 2) return { load: () => import('./device.js'), wide: false }
  const load = device !== null ? DEVICE_PAGES[parts[2]] : PAGES[parts[0]]
  return load ? { load, wide: true } : null
}

async function follow() {
  const route = read()
  const path = route.parts.join('/')
  if (path === shown) return
  shown = path
  page?.end?.()
  page = null
  const found = named(route)
  document.body.classList.toggle('with-panel', found !== null)
  document.body.classList.toggle('with-page', Boolean(found?.wide))
  map.resize()
  map.mark()
  document.title = 'Almanac'
  if (found === null) return panel.replaceChildren()
  panel.replaceChildren(h('p', { class: 'note' }, strings.loading))
  const opened = await attempt(async () => (await found.load()).show(panel, route))
  if (shown !== path) return opened?.end?.() // another was chosen meanwhile
  if (opened === null) return (location.hash = '#/')
  page = opened
  if (page?.place) map.mark(page.place)
  panel.scrollTop = 0
  panel.focus({ preventScroll: true })
}

/** Does something on the map once it can be seen. */
async function toMap(task) {
  if (document.body.classList.contains('with-page')) {
    history.pushState(null, '', '#/')
    await follow()
  }
  task()
}

window.addEventListener('hashchange', follow)
startMenu(document.getElementById('menu'), async (user) => {
  shown = null // what one may see has changed
  if (user && read().parts[0] === 'sign-in') history.replaceState(null, '', '#/mine')
  await Promise.all([attempt(() => map.look()), follow()])
})
startSearch(document.getElementById('search'), {
  fly: (place) => toMap(() => map.fly(place)),
  filter: (tag) => toMap(() => map.filter(tag)),
})
attempt(() => map.start())
follow()
