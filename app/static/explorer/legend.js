// The map's legend: what colours mean, which devices are shown, and those in view as a list for whoever uses no mouse.

import { deviceAddress } from './address.js'
import { get } from './api.js'
import { beyond, gradient } from './colours.js'
import { attempt, h } from './dom.js'
import { number } from './format.js'
import { strings } from './strings.js'

const MOST_LISTED = 100
const NARROW = '(max-width: 50rem)'

const options = (rows, chosen) => rows.map(([value, name]) => h('option', { value: String(value ?? ''), selected: String(value ?? '') === String(chosen ?? '') }, name))

/** The lowest and the highest value, with as many digits as it takes to tell them apart. */
function ends({ low, high }) {
  const digits = [3, 4, 5].find((enough) => number(low, enough) !== number(high, enough)) ?? 3
  return [low, high].map((end) => number(end, digits))
}

export class Legend {
  /** `choice`: {measurement, online, tag, kit}; `onChoice` gets the next one, `onPlace` a geometry to look at more closely. */
  constructor(element, choice, { onChoice, onPlace }) {
    this.choice = choice
    this.onChoice = onChoice
    this.onPlace = onPlace
    const choose = (name, read) => (event) => this.set({ [name]: read(event.target) })
    this.measurement = h('select', { 'aria-label': strings.colourBy, onchange: choose('measurement', ({ value }) => Number(value)) })
    this.bar = h('div', { class: 'scale', 'aria-hidden': 'true' })
    this.bar.style.background = gradient
    this.ends = h('div', { class: 'ends' })
    this.online = h('input', { type: 'checkbox', checked: choice.online, onchange: choose('online', ({ checked }) => checked) })
    this.tag = h('select', { 'aria-label': strings.filterTag, onchange: choose('tag', ({ value }) => value) })
    this.kit = h('select', { 'aria-label': strings.filterKit, onchange: choose('kit', ({ value }) => Number(value) || null) })
    const filtered = Boolean(choice.tag || choice.kit)
    this.filters = h(
      'details',
      { open: filtered, ontoggle: () => attempt(() => this.offer()) },
      h('summary', {}, strings.filters),
      h('label', {}, strings.filterTag, this.tag),
      h('label', {}, strings.filterKit, this.kit),
    )
    this.count = h('p', { class: 'count', role: 'status' }, strings.loading)
    this.list = h('ul')
    this.listing = h('details', { class: 'listing', hidden: true, ontoggle: () => this.fill() }, h('summary', {}, strings.listThem), this.list)
    const body = h('div', { class: 'body' }, this.measurement, this.bar, this.ends, h('label', { class: 'check' }, this.online, strings.onlineOnly), this.filters, this.count, this.listing)
    this.whole = h('details', { open: !matchMedia(NARROW).matches }, h('summary', {}, strings.legend), body)
    element.replaceChildren(this.whole)
  }

  /** Reads what the map can be coloured by, once it can be read. */
  async start() {
    if (this.measurement.length) return
    const measurements = await get('measurements', { per_page: 1000 })
    const rows = measurements.map(({ id, name }) => [id, name]).sort((a, b) => a[1].localeCompare(b[1]))
    this.measurement.replaceChildren(...options(rows, this.choice.measurement))
    if (this.filters.open) await this.offer()
  }

  /** Reads tags and kits when somebody wants to choose among them. */
  async offer() {
    if (this.offered || !this.filters.open) return
    const [tags, kits] = await Promise.all([get('tags', { per_page: 1000 }), get('kits', { per_page: 1000 })])
    this.tag.replaceChildren(...options([['', strings.any], ...tags.map(({ name }) => [name, name])], this.choice.tag))
    this.offered = true
    this.kit.replaceChildren(...options([['', strings.any], ...kits.map(({ id, name }) => [id, name])], this.choice.kit))
  }

  set(change) {
    this.choice = { ...this.choice, ...change }
    const { measurement, online, tag, kit } = this.choice
    this.measurement.value = measurement
    this.online.checked = online
    this.tag.value = tag
    this.kit.value = kit ?? ''
    this.filters.open ||= Boolean(tag || kit)
    this.onChoice(this.choice)
  }

  /** Speaks of the features in view, and of the scale: {low, high, unit} or null. */
  show(features, scale) {
    this.features = features
    const count = features.reduce((sum, { properties }) => sum + (properties.count ?? 1), 0)
    const { online, tag, kit } = this.choice
    this.bar.hidden = !scale
    const outside = scale ? new Set(features.map(({ properties: { value } }) => (value === undefined ? 0 : beyond(value, scale)))) : null
    const said = (end, place) => h('span', {}, `${outside.has(2 * place - 1) ? ['≤ ', '≥ '][place] : ''}${end} ${scale.unit ?? ''}`)
    this.ends.replaceChildren(...(scale ? ends(scale).map(said) : [strings.unmeasured]))
    this.scale = scale
    this.count.textContent = count ? strings.devicesHere(count) : online || tag || kit ? strings.nothingSuchHere : strings.nothingHere
    this.listing.hidden = !count
    this.unit = scale?.unit ?? ''
    this.fill()
  }

  fill() {
    if (!this.listing.open) return
    const items = this.features.slice(0, MOST_LISTED).map(({ id, geometry, properties: { name, count, value } }) => {
      const said = value === undefined ? null : h('small', {}, ` ${number(value)} ${this.unit}${this.scale && beyond(value, this.scale) ? ` (${strings.beyond})` : ''}`)
      return h('li', {}, id ? h('a', { href: deviceAddress(id) }, name) : h('button', { type: 'button', class: 'link', onclick: () => this.onPlace(geometry) }, strings.devices(count)), said)
    })
    const rest = this.features.length - items.length
    this.list.replaceChildren(...items, ...(rest > 0 ? [h('li', { class: 'note' }, strings.more(rest))] : []))
  }
}
