// The page of a device: its latest values, and charts of the components one chooses.

import { change, read } from './address.js'
import { get } from './api.js'
import { Chart } from './chart.js'
import { deviceLinks, owns } from './device_frame.js'
import { attempt, copy, fill, h } from './dom.js'
import { DAY, HOUR, iso } from './format.js'
import { button, empty } from './forms.js'
import { Latest, sending } from './latest.js'
import { follow } from './live.js'
import { strings } from './strings.js'
import { archive, download } from './take_away.js'

const LENGTHS = { '6h': 6 * HOUR, '1d': DAY, '1w': 7 * DAY, '1M': 30 * DAY, '1y': 365 * DAY }
const USUAL = '1d'
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone
const FEW = 3 // charts shown when nobody has chosen

const numbers = (text) => (text?.match(/\d+/g) ?? []).map(Number)

/** What another device has to show beside a sensor: the same one, or one that measures the same in the same unit. */
const twin = (device, { id, measurement, unit }) => {
  const sensors = sending(device)
  return sensors.find((each) => each.id === id) ?? sensors.find((each) => measurement && each.measurement?.id === measurement.id && each.unit === unit)
}

/** Shows a device in the panel; returns what ends it. */
export async function show(panel, { device: id }) {
  const device = await get(`devices/${id}`)
  const page = new DevicePage(panel, device)
  page.show()
  page.unfollow = follow(page)
  return page
}

class DevicePage {
  constructor(panel, device) {
    this.panel = panel
    this.opened = Date.now()
    this.take(device)
    this.place = device.location
    const { view } = read()
    this.chosen = new Set(numbers(view.get('sensors')))
    if (!this.chosen.size) this.choose()
    this.others = numbers(view.get('with'))
    this.known = new Map() // other devices that have been read, by id
    this.zone = view.get('tz') ?? HERE
    this.band = view.get('band') !== '0'
    this.to = Date.parse(view.get('to')) || this.newest
    this.from = Date.parse(view.get('from')) || this.to - (LENGTHS[view.get('last')] ?? LENGTHS[USUAL])
    this.charts = []
    this.resized = () => this.charts.forEach((chart) => chart.resize())
    window.addEventListener('resize', this.resized)
  }

  take(device) {
    this.device = device
    this.sensors = sending(device)
    this.online = device.system_tags.includes('online')
  }

  /** The time of the newest reading; until there is one, when the page was opened. */
  get newest() {
    return Date.parse(this.device.last_reading_at) || this.opened
  }

  show() {
    const { device } = this
    document.title = `${device.name} · Almanac`
    const tags = [this.online ? strings.online : strings.offline, ...device.user_tags]
    if (device.data_policy.is_private) tags.push(strings.private_)
    fill(
      this.panel,
      h('a', { class: 'back', href: '#/' }, strings.back),
      h('h2', {}, device.name),
      h('p', { class: 'by' }, [`#${device.id}`, device.owner && strings.by(device.owner.username), this.place.city].filter(Boolean).join(' · ')),
      h('p', { class: 'tags' }, ...tags.map((tag) => h('span', { class: `tag ${tag}` }, tag))),
      device.description ? h('p', {}, device.description) : null,
      owns(device) ? deviceLinks(device) : null,
      this.sensors.length ? this.values() : empty(strings.noValues, owns(device) ? strings.noValuesOwn : strings.noValuesAbout),
    )
    attempt(() => this.draw()) // slow charts keep nobody from the rest
  }

  values() {
    this.latest = new Latest(this.sensors, this.chosen, (id, wished) => {
      this.chosen[wished ? 'add' : 'delete'](id)
      attempt(() => this.draw())
    })
    this.drawing = h('div', { class: 'charts' })
    this.archiving ??= archive(this.device.id) // goes on where the page is shown anew
    return [h('h3', {}, strings.latest), this.latest.element, h('h3', {}, strings.history), this.controls(), this.drawing, h('h3', {}, strings.archive), this.archiving]
  }

  /** Shows the device as it is by now; all of it anew only where other parts are shown. */
  async reload() {
    const parts = () => [this.online, ...this.sensors.map(({ id }) => id)].join()
    const before = parts()
    const device = await get(`devices/${this.device.id}`)
    this.hear(device.last_reading_at)
    this.take(device)
    if (!this.chosen.size) this.choose()
    if (parts() !== before) return this.show()
    this.sensors.forEach((sensor) => this.latest.renew(sensor))
    await this.read()
  }

  /** Knows of a newer reading: charts that end at the newest go on doing so. */
  hear(time) {
    const [before, at] = [this.newest, Date.parse(time)]
    if (!(at > (Date.parse(this.device.last_reading_at) || 0))) return
    this.device.last_reading_at = time
    if (this.to !== before) return
    this.from += at - before
    this.to = at
  }

  choose() {
    this.sensors.slice(0, FEW).forEach((sensor) => this.chosen.add(sensor.id))
  }

  controls() {
    this.ranges = Object.entries(LENGTHS).map(([name, length]) => button(strings.ranges[name], () => this.move(this.to - length, this.to), { value: name }))
    const step = (sign) => () => this.move(this.from + sign * (this.to - this.from), this.to + sign * (this.to - this.from))
    const zones = [...new Set([this.zone, HERE, 'UTC', ...Intl.supportedValuesOf('timeZone')])].map((zone) => h('option', { value: zone }, zone))
    const compare = h('input', { type: 'text', inputMode: 'numeric', size: 9, placeholder: strings.compareHint, value: this.others.join(', ') })
    compare.addEventListener('change', () => {
      this.others = numbers(compare.value)
      attempt(() => this.draw())
    })
    return h(
      'div',
      { class: 'controls' },
      h('div', { class: 'group', role: 'group', 'aria-label': strings.range }, ...this.ranges),
      h(
        'div',
        { class: 'group', role: 'group' },
        button(`← ${strings.earlier}`, step(-1)),
        button(`${strings.later} →`, step(1)),
        button(strings.newest, () => this.move(this.newest - (this.to - this.from), this.newest)),
      ),
      h('label', {}, strings.zone, h('select', { onchange: (event) => this.set({ zone: event.target.value }) }, ...zones)),
      h('label', {}, h('input', { type: 'checkbox', checked: this.band, onchange: (event) => this.set({ band: event.target.checked }) }), strings.band),
      h('label', {}, strings.compare, compare),
      h('div', { class: 'group', role: 'group' }, button(strings.download, () => download(this.device.id, this.charts)), button(strings.copyLink, () => this.share())),
      h('p', { class: 'note mouse' }, strings.chartHint),
    )
  }

  /** Shows something else; what is still being read for the former is given up. */
  set(changes) {
    Object.assign(this, changes)
    attempt(() => this.read())
  }

  move(from, to) {
    this.set({ from: Math.round(from), to: Math.round(to) })
  }

  /** Another device, or null for one that cannot be seen. */
  async other(id) {
    if (!this.known.has(id)) this.known.set(id, await attempt(() => get(`devices/${id}`)))
    return this.known.get(id)
  }

  /** Makes a chart for each component chosen. */
  async draw() {
    if (!this.sensors.length) return
    const others = (await Promise.all(this.others.map((id) => this.other(id)))).filter(Boolean)
    this.charts.forEach((chart) => chart.destroy())
    this.charts = this.sensors
      .filter((sensor) => this.chosen.has(sensor.id))
      .map((sensor) => {
        const twins = others.map((device) => ({ device, sensor: twin(device, sensor) }))
        const lacking = twins.filter((each) => !each.sensor).map(({ device }) => device.name)
        return new Chart([{ device: this.device, sensor }, ...twins.filter((each) => each.sensor)], { lacking, onRange: (from, to) => this.move(from, to) })
      })
    fill(this.drawing, this.charts.length ? this.charts.map((chart) => chart.element) : h('p', { class: 'note' }, strings.noneChosen))
    await this.read()
  }

  async read() {
    this.tell()
    await Promise.all(this.charts.map((chart) => chart.show(this.from, this.to, this.zone, this.band)))
  }

  /** Lets the address and the buttons say what is shown; `fixed`: this range whatever comes, not the last day, week … */
  tell({ fixed = false } = {}) {
    if (this.ended) return // it was still reading: the address is another page's now
    const length = Object.keys(LENGTHS).find((name) => LENGTHS[name] === this.to - this.from)
    this.ranges?.forEach((each) => each.setAttribute('aria-pressed', each.value === length))
    const last = !fixed && this.to === this.newest && length
    const usual = this.sensors.slice(0, FEW).map((sensor) => sensor.id).join()
    const chosen = [...this.chosen].join()
    change({
      sensors: chosen === usual ? null : chosen,
      with: this.others.join(),
      last: last && last !== USUAL ? last : null,
      from: last ? null : iso(this.from),
      to: last ? null : iso(this.to),
      tz: this.zone === HERE ? null : this.zone,
      band: this.band ? null : '0',
    })
  }

  share() {
    this.tell({ fixed: true })
    return copy(location.href, strings.linkCopied)
  }

  end() {
    this.ended = true
    this.unfollow()
    window.removeEventListener('resize', this.resized)
    this.charts.forEach((chart) => chart.destroy())
  }
}
