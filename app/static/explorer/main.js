// The explorer: a map of all devices, and beside it the device that the address names.

import { read } from './address.js'
import { showDevice } from './device.js'
import { attempt } from './dom.js'
import { DeviceMap } from './map.js'
import { startSearch } from './search.js'

const panel = document.getElementById('panel')
const map = new DeviceMap(document.getElementById('map'), document.getElementById('legend'))
let page = null
let shown = null

async function follow() {
  const { device } = read()
  if (device === shown) return
  shown = device
  page?.end()
  page = null
  document.body.classList.toggle('with-panel', device !== null)
  map.resize()
  if (device === null) {
    document.title = 'Almanac'
    panel.replaceChildren()
    return
  }
  const opened = await attempt(() => showDevice(panel, device))
  if (shown !== device) opened?.end() // another was chosen meanwhile
  else if (opened) {
    page = opened
    map.mark(opened.place)
    panel.focus({ preventScroll: true })
  } else location.hash = '#/'
}

window.addEventListener('hashchange', follow)
startSearch(document.getElementById('search'), (place) => map.fly(place))
attempt(() => map.start())
follow()
