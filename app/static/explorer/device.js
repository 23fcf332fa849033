// The page of a device: its latest values, and charts of the components one chooses.

import { change, read } from './address.js'
import { get } from './api.js'
import { Chart } from './chart.js'
import { deviceLinks, owns } from './device_frame.js'
import { attempt, copy, fill, h } from './dom.js'
import { exportDevice } from './exports.js'
import { DAY, HOUR, age, cell, iso, number } from './format.js'
import { follow } from './live.js'
import { user } from './session.js'
import { strings } from './strings.js'

const LENGTHS = { '6h': 6 * HOUR, '1d': DAY, '1w': 7 * DAY, '1M': 30 * DAY, '1y': 365 * DAY }
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone
const FEW = 3 // charts shown when nobody has chosen

const FIRST = [1, 4, 14, 2] // measurements that people ask for first: temperature, noise, PM2.5, humidity

/** Sensors that have sent something, what people ask for first before the others. */
function sending(device) {
  const rank = ({ measurement }) => (FIRST.indexOf(measurement?.id) + 1 || FIRST.length + 1)
  return device.data.sensors.filter((sensor) => sensor.last_reading_at).sort((a, b) => rank(a) - rank(b))
}

const numbers = (text) => (text ?? '').split(',').map(Number).filter((id) => Number.isInteger(id) && id > 0)

/** Shows a device in the panel; returns what ends it. */
export async function show(panel, { device: id }) {
  const device = await get(`devices/${id}`)
  const page = new DevicePage(panel, device)
  await page.show()
  page.unfollow = follow(page)
  return page
}

class DevicePage {
  constructor(panel, device) {
    this.panel = panel
    this.device = device
    this.place = device.location
    this.sensors = sending(device)
    this.rows = new Map() // of the table, by sensor
    const { view } = read()
    this.chosen = new Set(numbers(view.get('sensors')))
    if (!this.chosen.size) this.choose()
    this.others = numbers(view.get('with'))
    this.zone = view.get('tz') ?? HERE
    this.band = view.get('band') !== '0'
    const newest = this.device.last_reading_at ? Date.parse(this.device.last_reading_at) : Date.now()
    this.to = Date.parse(view.get('to')) || newest
    this.from = Date.parse(view.get('from')) || this.to - DAY
    this.charts = []
    this.resized = () => this.charts.forEach((chart) => chart.resize())
    window.addEventListener('resize', this.resized)
  }

  async show() {
    const { device } = this
    document.title = `${device.name} · Almanac`
    const online = device.system_tags.includes('online')
    const tags = [online ? strings.online : strings.offline, ...device.user_tags]
    if (device.data_policy.is_private) tags.push(strings.private_)
    this.drawing = h('div', { class: 'charts' })
    fill(
      this.panel,
      h('a', { class: 'back', href: '#/' }, strings.back),
      h('h2', {}, device.name),
      h('p', { class: 'by' }, [device.owner ? strings.by(device.owner.username) : '', this.place.city ?? ''].filter(Boolean).join(', ')),
      h('p', { class: 'tags' }, ...tags.map((tag) => h('span', { class: `tag ${tag}` }, tag))),
      device.description ? h('p', {}, device.description) : null,
      owns(device) ? deviceLinks(device) : null,
      h('h3', {}, strings.latest),
      this.sensors.length ? h('div', { class: 'scroll' }, this.table()) : h('p', { class: 'note' }, strings.noValues),
      h('h3', {}, strings.history),
      this.controls(),
      this.drawing,
      h('h3', {}, strings.archive),
      (this.archiving ??= this.archive()), // goes on where the page is shown anew
    )
    await attempt(() => this.draw()) // a chart that fails, or is overtaken by a click, leaves the page as it is
  }

  table() {
    const head = [strings.chart, strings.component, strings.value, strings.trend, strings.age]
    const rows = this.sensors.map((sensor) => {
      const chosen = h('input', {
        type: 'checkbox',
        checked: this.chosen.has(sensor.id),
        'aria-label': strings.show(sensor.name),
        onchange: (event) => {
          this.chosen[event.target.checked ? 'add' : 'delete'](sensor.id)
          attempt(() => this.draw())
        },
      })
      const row = h('tr', {}, h('td', {}, chosen), h('th', { scope: 'row' }, sensor.name), ...this.latest(sensor))
      this.rows.set(sensor.id, row)
      return row
    })
    return h('table', { 'aria-live': 'off' }, h('thead', {}, h('tr', {}, ...head.map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, ...rows))
  }

  /** The cells that change when a sensor has sent something. */
  latest(sensor) {
    const trend = sensor.prev_value === null ? 0 : Math.sign(sensor.value - sensor.prev_value)
    const [arrow, word] = [['↘', strings.falling], ['→', strings.steady], ['↗', strings.rising]][trend + 1]
    return [
      h('td', { class: 'value' }, `${number(sensor.value)} ${sensor.unit ?? ''}`),
      h('td', {}, h('span', { title: word, 'aria-label': word }, arrow)),
      h('td', {}, h('time', { datetime: sensor.last_reading_at }, age(sensor.last_reading_at))),
    ]
  }

  /** Shows a sensor's latest value anew. */
  renew(sensor) {
    const row = this.rows.get(sensor.id)
    row.replaceChildren(...[...row.children].slice(0, 2), ...this.latest(sensor))
  }

  /** Shows the device as it is by now. */
  async reload() {
    this.device = await get(`devices/${this.device.id}`)
    this.sensors = sending(this.device)
    if (!this.chosen.size) this.choose()
    await this.show()
  }

  choose() {
    this.sensors.slice(0, FEW).forEach((sensor) => this.chosen.add(sensor.id))
  }

  controls() {
    const ranges = Object.entries(LENGTHS).map(([name, length]) =>
      h('button', { type: 'button', onclick: () => this.move(this.to - length, this.to) }, strings.ranges[name]),
    )
    const step = (sign) => () => this.move(this.from + sign * (this.to - this.from), this.to + sign * (this.to - this.from))
    const zones = [...new Set([this.zone, HERE, 'UTC'])].map((zone) => h('option', { value: zone }, zone))
    const compare = h('input', { type: 'text', inputMode: 'numeric', size: 6, placeholder: strings.compareHint, value: this.others.join(',') })
    compare.addEventListener('change', () => {
      this.others = numbers(compare.value)
      attempt(() => this.draw())
    })
    return h(
      'div',
      { class: 'controls' },
      h('div', { class: 'group', role: 'group', 'aria-label': strings.range }, ...ranges),
      h(
        'div',
        { class: 'group', role: 'group' },
        h('button', { type: 'button', onclick: step(-1) }, `← ${strings.earlier}`),
        h('button', { type: 'button', onclick: step(1) }, `${strings.later} →`),
        h('button', { type: 'button', onclick: () => this.newest() }, strings.newest),
      ),
      h('label', {}, strings.zone, h('select', { onchange: (event) => this.set({ zone: event.target.value }) }, ...zones)),
      h('label', {}, h('input', { type: 'checkbox', checked: this.band, onchange: (event) => this.set({ band: event.target.checked }) }), strings.band),
      h('label', {}, strings.compare, compare),
      h(
        'div',
        { class: 'group', role: 'group' },
        h('button', { type: 'button', onclick: () => this.download() }, strings.download),
        h('button', { type: 'button', onclick: () => this.share() }, strings.copyLink),
      ),
    )
  }

  set(changes) {
    Object.assign(this, changes)
    attempt(() => this.read())
  }

  newest() {
    const length = this.to - this.from
    const newest = Date.parse(this.device.last_reading_at) || Date.now()
    this.move(newest - length, newest)
  }

  move(from, to) {
    this.from = Math.round(from)
    this.to = Math.round(to)
    attempt(() => this.read())
  }

  /** Makes a chart for each component chosen. */
  async draw() {
    this.charts.forEach((chart) => chart.destroy())
    this.charts = this.sensors
      .filter((sensor) => this.chosen.has(sensor.id))
      .map((sensor) => {
        const series = [{ device: this.device.id, sensor: sensor.id, label: sensor.name, unit: sensor.unit }]
        for (const other of this.others) series.push({ device: other, sensor: sensor.id, label: `#${other}`, unit: sensor.unit })
        return new Chart(series, { onRange: (from, to) => this.move(from, to) })
      })
    this.drawing.replaceChildren(...this.charts.map((chart) => chart.element))
    await this.read()
  }

  async read() {
    const usual = this.sensors.slice(0, FEW).map((sensor) => sensor.id).join()
    const chosen = [...this.chosen].join()
    change({
      sensors: chosen === usual ? null : chosen,
      with: this.others.join(),
      from: iso(this.from),
      to: iso(this.to),
      tz: this.zone === HERE ? null : this.zone,
      band: this.band ? null : '0',
    })
    await Promise.all(this.charts.map((chart) => chart.show(this.from, this.to, this.zone, this.band)))
  }

  /** Saves what the charts show: a row a time, a column a component. */
  download() {
    const rows = new Map()
    const names = ['time']
    this.charts.forEach((chart) =>
      chart.rows.forEach((readings, place) => {
        const { label, unit } = chart.series[place]
        names.push(`${place ? `${label} ${chart.series[0].label}` : label}${unit ? ` [${unit}]` : ''}`)
        for (const [time, mean] of readings) {
          if (!rows.has(time)) rows.set(time, [time])
          rows.get(time)[names.length - 1] = mean
        }
      }),
    )
    const lines = [names, ...[...rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1))]
    const text = lines.map((line) => Array.from(names, (_, place) => cell(line[place])).join(',')).join('\r\n')
    const link = h('a', { href: URL.createObjectURL(new Blob([`${text}\r\n`], { type: 'text/csv' })), download: `device-${this.device.id}.csv` })
    link.click()
    URL.revokeObjectURL(link.href)
  }

  /** All that the device has measured, by an export: for whoever has signed in. */
  archive() {
    const place = h('div')
    const begin = async () => {
      if (!(await user())) return fill(place, h('p', { class: 'note' }, strings.archiveSignIn), h('a', { class: 'button', href: '#/sign-in' }, strings.signIn))
      return exportDevice(this.device.id, place)
    }
    fill(place, h('p', { class: 'note' }, strings.archiveAbout), h('button', { type: 'button', onclick: () => attempt(begin) }, strings.archiveBegin))
    return place
  }

  share() {
    return copy(location.href, strings.linkCopied)
  }

  end() {
    this.unfollow()
    window.removeEventListener('resize', this.resized)
    this.charts.forEach((chart) => chart.destroy())
  }
}
