// The frame of a device's own pages: its name, the way back, and the links between them.

import { deviceAddress, read } from './address.js'
import { get } from './api.js'
import { account } from './account.js'
import { h } from './dom.js'
import { strings } from './strings.js'

const LINKS = ['health', 'settings', 'configuration', 'calibrate']

/** Whether the asking user may change this device: only they see what others find `[FILTERED]`. */
export const owns = (device) => device.data_policy.precise_location !== '[FILTERED]'

export const deviceLinks = (device, here = null) =>
  h('nav', { class: 'group', 'aria-label': strings.deviceLinks.label }, LINKS.map((name) => h('a', { class: 'button', href: `${deviceAddress(device.id)}/${name}`, 'aria-current': name === here ? 'page' : null }, strings.deviceLinks[name])))

/** {content, device} of a page that only the owner has; null for nobody, who is asked to sign in. */
export async function deviceFrame(panel, id, words) {
  const frame = await account(panel, words)
  if (!frame) return null
  const device = await get(`devices/${id}`)
  if (!owns(device)) throw new Error(strings.notYours(device.name))
  const content = h('div', { class: 'content' })
  frame.content.replaceChildren(h('p', {}, h('a', { class: 'back', href: deviceAddress(id) }, `← ${device.name}`)), deviceLinks(device, read().parts[2]), h('br'), content)
  return { content, device, user: frame.user }
}
