// The inbox of what was received and could not be stored: see why, put its time right, store it, or drop it.

import { account } from './account.js'
import { deviceAddress } from './address.js'
import { get, post, remove } from './api.js'
import { attempt, fill, h, toast } from './dom.js'
import { careful, check, empty, field, form, select, table, when } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'

const words = strings.quarantinePage
const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 } // seconds

export async function show(panel, { view }) {
  const frame = await account(panel, words)
  if (!frame) return
  const inbox = new Inbox(frame.content, view.get('device'))
  await inbox.turn(1)
}

class Inbox {
  constructor(place, device) {
    this.asked = { device_id: device, reason: null }
    this.chosen = new Set()
    this.list = h('div', { class: 'card' })
    const reason = select({ 'aria-label': words.reason, onchange: ({ target }) => this.ask({ reason: target.value }) }, [['', words.anyReason], ...Object.entries(words.reasons)])
    const number = h('input', { type: 'number', min: '1', value: device ?? '', 'aria-label': words.device, placeholder: words.anyDevice, onchange: ({ target }) => this.ask({ device_id: target.value }) })
    this.send = form(
      { submit: words.release, onSubmit: (values) => this.release(values), buttons: [careful(words.drop, words.reallyDrop, () => this.drop())] },
      h(
        'div',
        { class: 'row' },
        field(words.shift, h('input', { name: 'shift', type: 'number', step: 'any', value: '0' }), words.shiftHint),
        field(words.unit, select({ name: 'unit' }, Object.entries(words.units), 'h')),
      ),
    )
    this.releasing = h('div', { class: 'card' }, h('h3', {}, words.releaseTitle), this.send)
    fill(place, h('div', { class: 'buttons' }, reason, number), h('br'), this.list, this.releasing)
  }

  ask(changes) {
    Object.assign(this.asked, changes)
    return attempt(() => this.turn(1))
  }

  async turn(page) {
    this.page = page
    this.chosen.clear()
    const found = await pages('quarantine', { ...this.asked, per_page: 25, page })
    this.releasing.hidden = !found.total
    const filtered = this.asked.device_id || this.asked.reason
    if (!found.total) return fill(this.list, empty(words.emptyTitle, filtered ? words.emptyFiltered : words.emptyText))
    const all = check(words.all, { onchange: ({ target }) => this.chooseAll(target.checked) })
    fill(this.list, all, table([words.item, words.reason, words.device, words.received, words.payload], found.rows.map((item) => this.row(item))), found.turner((to) => this.turn(to)))
  }

  row(item) {
    const choose = check(`#${item.id}`, { name: 'item', onchange: ({ target }) => (target.checked ? this.chosen.add(item.id) : this.chosen.delete(item.id)), value: String(item.id) })
    const whole = h('pre', { tabindex: '0' }, item.payload)
    const more = async () => (whole.textContent = (await get(`quarantine/${item.id}`)).payload)
    return [
      choose,
      h('div', {}, h('strong', {}, words.reasons[item.reason] ?? item.reason), h('br'), h('small', {}, item.detail)),
      item.device_id ? h('a', { href: deviceAddress(item.device_id) }, `#${item.device_id}`) : words.nobodys,
      when(item.received_at),
      h('details', { ontoggle: () => attempt(more) }, h('summary', {}, words.bytes(item.size)), whole),
    ]
  }

  chooseAll(checked) {
    for (const box of this.list.querySelectorAll('input[name=item]')) {
      box.checked = checked
      box.dispatchEvent(new Event('change'))
    }
  }

  async release({ shift, unit }) {
    const seconds = Math.round(Number(shift) * UNITS[unit])
    const { stored, duplicate, kept } = await post('quarantine/release', { ids: this.selected(), shift_seconds: seconds })
    const why = kept.length ? ` ${words.kept(kept.length, kept[0].detail)}` : ''
    toast(words.released(stored, duplicate) + why, { bad: kept.length > 0 })
    await this.turn(this.page)
  }

  async drop() {
    for (const id of this.selected()) await remove(`quarantine/${id}`)
    await this.turn(this.page)
  }

  selected() {
    if (!this.chosen.size) throw new Error(words.chooseFirst)
    return [...this.chosen]
  }
}
