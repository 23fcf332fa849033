// How a device is: when it was heard, what it should have sent, its battery and clock, and the errors that it reports.

import { deviceFrame } from './device_frame.js'
import { get, post } from './api.js'
import { fill, h, toast } from './dom.js'
import { age, number } from './format.js'
import { button, empty, table, tile, when } from './forms.js'
import { pages } from './pages.js'
import { strings } from './strings.js'

const words = strings.healthPage
const FULL = 0.95 // share of the expected readings that counts as all
const FAST = 60 // s by which a clock may be wrong

export async function show(panel, { device: id }) {
  const frame = await deviceFrame(panel, id, words)
  if (!frame) return
  const health = await get(`devices/${id}/health`)
  const errors = h('div', { class: 'card' })
  fill(frame.content, h('div', { class: 'tiles' }, tiles(id, health)), coverage(frame.device, health), errors)
  await showErrors(id, errors)
}

function tiles(id, { last_seen_at: seen, coverage: { ratio }, battery, clock, quarantine, config, errors }) {
  const skew = clock?.skew_seconds ?? null
  return [
    tile(seen ? age(seen) : words.never, words.seen, seen ? '' : 'bad'),
    tile(ratio === null ? '–' : share(ratio), words.coverage, ratio === null ? '' : ratio < FULL ? 'bad' : 'good'),
    battery ? tile(`${number(battery.value)} ${battery.unit ?? ''}`, words.battery) : null,
    skew === null ? null : tile(`${number(Math.abs(skew), 2)} s`, skew < 0 ? words.behind : words.ahead, Math.abs(skew) > FAST ? 'bad' : ''),
    tile(String(errors.open), words.open, errors.open ? 'bad' : 'good'),
    tile(String(quarantine.count), words.quarantine, quarantine.count ? 'bad' : 'good', `#/quarantine?device=${id}`),
    tile(words.configs[config.state], words.config, config.state === 'refused' ? 'bad' : '', `#/devices/${id}/configuration`),
  ]
}

const share = (ratio) => `${Math.floor(ratio * 100)} %`

function coverage(device, { coverage: { components }, expected_interval: interval }) {
  const names = new Map(device.data.sensors.map(({ id, name }) => [id, name]))
  const rows = components.map(({ sensor_id: sensor, n, expected, ratio }) => [
    names.get(sensor) ?? `#${sensor}`,
    n.toLocaleString(),
    expected === null ? '–' : expected.toLocaleString(),
    ratio === null ? '–' : h('span', {}, h('meter', { min: '0', max: '1', low: '0.5', high: '0.95', optimum: '1', value: ratio, 'aria-label': words.coverage }), ` ${share(ratio)}`),
  ])
  return h(
    'div',
    { class: 'card' },
    h('h3', {}, words.day),
    interval === null ? null : h('p', { class: 'note' }, words.every(number(interval))),
    rows.length ? table([words.component, words.readings, words.expected, words.coverage], rows) : h('p', { class: 'note' }, words.noComponents),
  )
}

async function showErrors(id, place) {
  const turn = async (page) => {
    const found = await pages(`devices/${id}/errors`, { per_page: 25, page })
    const resolve = (error) => async () => {
      await post(`devices/${id}/errors/resolve`, { ids: [error.id] })
      toast(words.resolved)
      await turn(page)
    }
    const rows = found.rows.map((error) => [
      h('div', {}, h('strong', {}, error.code), error.message ? h('div', {}, h('small', {}, error.message)) : null),
      error.component ?? words.device,
      words.times(error.count),
      when(error.last_time),
      h('td', { class: 'actions' }, error.resolved_at ? h('span', { class: 'tag' }, words.dealtWith) : button(words.resolve, resolve(error))),
    ])
    const list = rows.length ? table([words.error, words.component, words.often, words.last, ''], rows) : empty(words.emptyTitle, words.emptyText)
    fill(place, h('h3', {}, words.errors), list, found.turner(turn))
  }
  await turn(1)
}
