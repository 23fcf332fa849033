// Which mails one gets about which device.

import { account } from './account.js'
import { deviceAddress } from './address.js'
import { patch } from './api.js'
import { attempt, fill, h, toast } from './dom.js'
import { empty, table } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'

const words = strings.notificationsPage
const SWITCHES = ['stopped_publishing', 'low_battery', 'faulty_sensors', 'errors']

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const list = h('div', { class: 'card' })
  const turn = async (page) => {
    const found = await pages('devices', { 'q[owner_id_eq]': frame.user.id, 'q[s]': 'name asc', per_page: 50, page })
    if (!found.total) return fill(list, empty(words.emptyTitle, words.emptyText, h('a', { class: 'button main', href: '#/register' }, strings.pages.register)))
    fill(list, table([words.device, ...SWITCHES.map((name) => words.switches[name])], found.rows.map(row)), found.turner(turn))
  }
  fill(frame.content, list)
  await turn(1)
}

const row = (device) => [h('a', { href: deviceAddress(device.id) }, device.name), ...SWITCHES.map((name) => toggle(device, name))]

function toggle(device, name) {
  const box = h('input', {
    type: 'checkbox',
    checked: device.notify[name],
    'aria-label': `${words.switches[name]}: ${device.name}`,
    onchange: () =>
      attempt(async () => {
        const wished = box.checked
        box.checked = !wished // until the platform has it
        await patch(`devices/${device.id}`, { [`notify_${name}`]: wished })
        box.checked = wished
        toast(words.saved)
      }),
  })
  return box
}
