// My devices and their health: who speaks, who has fallen silent, whose battery is low, what waits in quarantine.

import { account } from './account.js'
import { deviceAddress } from './address.js'
import { get } from './api.js'
import { fill, h } from './dom.js'
import { DAY, number } from './format.js'
import { ago, empty, table, tile } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'

const words = strings.devicesPage
const BATTERY = 10 // the catalogue's sensor, in %
const LOW = 15 // %

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const { content, user } = frame
  const mine = { 'q[owner_id_eq]': user.id }
  const total = async (path, parameters) => (await pages(path, { ...parameters, per_page: 1 })).total
  const dayAgo = new Date(Date.now() - DAY).toISOString()
  const hourAgo = new Date(Date.now() - DAY / 24).toISOString()
  const [all, online, silent, quarantined] = await Promise.all([
    total('devices', mine),
    total('devices', { ...mine, 'q[last_reading_at_gt]': hourAgo }),
    total('devices', { ...mine, 'q[last_reading_at_lt]': dayAgo }),
    total('quarantine', {}),
  ])
  const register = h('a', { class: 'button main', href: '#/register' }, strings.pages.register)
  if (!all) return content.replaceChildren(empty(words.emptyTitle, words.emptyText, register))
  const list = h('div', { class: 'card' })
  content.replaceChildren(
    h(
      'div',
      { class: 'tiles' },
      tile(all, words.registered),
      tile(online, words.online, online ? 'good' : ''),
      tile(silent, words.silent, silent ? 'bad' : ''),
      tile(quarantined, words.quarantined, quarantined ? 'bad' : '', '#/quarantine'),
    ),
    list,
    register,
  )
  const turn = async (page) => {
    const found = await pages('devices', { ...mine, 'q[s]': 'last_reading_at desc', per_page: 50, page })
    fill(list, table([words.device, words.health, words.heard, words.battery, words.components, ''], found.rows.map(row)), found.turner(turn))
  }
  await turn(1)
}

function row(device) {
  const { sensors } = device.data
  const battery = sensors.find(({ id }) => id === BATTERY)?.value ?? null
  const speaking = sensors.filter(({ last_reading_at: time }) => time && Date.now() - Date.parse(time) < DAY).length
  return [
    h('div', {}, h('a', { href: deviceAddress(device.id) }, device.name), h('small', {}, ` #${device.id}`)),
    h('span', { class: 'tags' }, health(device, battery, speaking).map(([text, mood]) => h('span', { class: `tag ${mood}` }, text))),
    device.last_reading_at ? ago(device.last_reading_at) : words.never,
    battery === null ? '–' : `${number(battery)}\u00a0%`,
    words.speaking(speaking, sensors.length),
    h('td', { class: 'actions' }, h('a', { href: `${deviceAddress(device.id)}/health` }, words.more), h('a', { href: `${deviceAddress(device.id)}/settings` }, words.settings)),
  ]
}

/** What is to be said of a device, each with its colour. */
function health(device, battery, speaking) {
  if (!device.last_reading_at) return [[words.waiting, 'warn']]
  const online = device.system_tags.includes('online')
  const said = [online ? [strings.online, 'good'] : [strings.offline, 'bad']]
  if (battery !== null && battery < LOW) said.push([words.lowBattery, 'bad'])
  if (online && speaking < device.data.sensors.length) said.push([words.partly, 'warn'])
  return said
}
