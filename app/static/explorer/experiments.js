// Experiments: devices of several people that are looked at together for a time.

import { account } from './account.js'
import { patch, post, remove } from './api.js'
import { fill, h, toast } from './dom.js'
import { dayBegins, dayEnds, dayOf } from './format.js'
import { button, careful, empty, field, form, table, when } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'

const words = strings.experimentsPage
const MOST_COMPARED = 4

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const page = new Experiments(frame.content, frame.user)
  await page.turn(1)
}

const numbers = (text) => (text.match(/\d+/g) ?? []).map(Number)

class Experiments {
  constructor(place, user) {
    this.user = user
    this.list = h('div', { class: 'card' })
    this.editing = h('div', { class: 'card' })
    this.edit(null)
    fill(place, this.list, this.editing)
  }

  async turn(page) {
    this.page = page
    const found = await pages('experiments', { 'q[s]': 'id desc', per_page: 25, page })
    if (!found.total) return fill(this.list, empty(words.emptyTitle, words.emptyText))
    fill(this.list, table([words.name, words.state, words.devices, words.from, words.to, ''], found.rows.map((each) => this.row(each))), found.turner((to) => this.turn(to)))
  }

  row(each) {
    const [first, ...others] = each.device_ids
    const compared = others.slice(0, MOST_COMPARED - 1).join()
    const look = first ? h('a', { href: `#/devices/${first}${compared ? `?with=${compared}` : ''}` }, words.compare) : null
    const own = each.owner_id === this.user.id || this.user.role === 'admin'
    return [
      h('div', {}, each.name, h('br'), h('small', {}, each.description ?? '')),
      h('span', { class: `tag ${each.active ? 'good' : ''}` }, each.active ? words.active : words.over),
      String(each.device_ids.length),
      when(each.starts_at),
      when(each.ends_at),
      h(
        'td',
        { class: 'actions' },
        look,
        h('a', { href: `#/exports?experiment=${each.id}` }, words.export),
        own ? button(words.change, () => this.edit(each)) : null,
        own ? careful(words.remove, words.reallyRemove, () => this.remove(each)) : null,
      ),
    ]
  }

  /** The form: of an experiment that exists, or of a new one. */
  edit(each) {
    const save = async ({ name, description, device_ids, starts_at, ends_at }) => {
      const body = { name, description, device_ids: numbers(device_ids), starts_at: dayBegins(starts_at), ends_at: dayEnds(ends_at) }
      await (each ? patch(`experiments/${each.id}`, body) : post('experiments', body))
      toast(words.saved)
      this.edit(null)
      await this.turn(this.page)
    }
    const cancel = each ? button(words.cancel, () => this.edit(null)) : null
    fill(
      this.editing,
      h('h3', {}, each ? words.changeTitle(each.name) : words.makeTitle),
      form(
        { submit: each ? words.save : words.make, onSubmit: save, buttons: [cancel] },
        field(words.name, h('input', { name: 'name', value: each?.name ?? '', required: true })),
        field(words.description, h('textarea', { name: 'description', rows: '2' }, each?.description ?? '')),
        field(words.devices, h('input', { name: 'device_ids', value: each?.device_ids.join(', ') ?? '' }), words.devicesHint),
        h('div', { class: 'row' }, field(words.from, h('input', { type: 'date', name: 'starts_at', value: dayOf(each?.starts_at) })), field(words.to, h('input', { type: 'date', name: 'ends_at', value: dayOf(each?.ends_at) }), words.toHint)),
      ),
    )
    if (each) this.editing.querySelector('input').focus()
  }

  async remove({ id }) {
    await remove(`experiments/${id}`)
    await this.turn(this.page)
  }
}
