// Exports: ask for data to take away, see how far it is, fetch the file.

import { account } from './account.js'
import { get, list, post, remove } from './api.js'
import { fill, h, keep, watch } from './dom.js'
import { dayBegins, dayEnds, dayOf } from './format.js'
import { button, careful, empty, field, form, select, when } from './forms.js'
import { strings } from './strings.js'

const words = strings.exportsPage
const EVERY = 1000 // ms between two looks at what is not finished
const SHOWN = 50

export async function show(panel, { view }) {
  const frame = await account(panel, words)
  if (!frame) return
  const page = new Exports(frame.content, view)
  await page.look()
  return { end: () => page.end() }
}

/** Numbers in a text, whatever is between them. */
const numbers = (text) => (text.match(/\d+/g) ?? []).map(Number)

class Exports {
  constructor(place, view) {
    this.list = h('div')
    this.cards = new Map() // by what they show: one that says the same stays, with the focus in it
    this.form = h('details', { class: 'card', open: view.has('device') || view.has('experiment') }, h('summary', {}, h('strong', {}, words.ask)), this.asking(view))
    fill(place, this.form, this.list)
  }

  asking(view) {
    const text = (name, value = '') => h('input', { name, value: value ?? '' })
    const date = (name) => h('input', { name, type: 'date' })
    return form(
      { submit: words.begin, onSubmit: (values) => this.begin(values) },
      h('br'),
      h('div', { class: 'row' }, field(words.devices, text('device_ids', view.get('device')), words.devicesHint), field(words.experiment, text('experiment_id', view.get('experiment')), words.experimentHint)),
      h('div', { class: 'row' }, field(words.from, date('from'), words.fromHint), field(words.to, date('to'))),
      h(
        'div',
        { class: 'row' },
        field(words.rollup, select({ name: 'rollup' }, words.rollups)),
        field(words.layout, select({ name: 'layout' }, words.layouts)),
        field(words.format, select({ name: 'format' }, words.formats)),
        field(words.values, select({ name: 'values' }, words.valuesOf)),
      ),
    )
  }

  async begin({ device_ids, experiment_id, from, to, rollup, ...choices }) {
    const what = experiment_id.trim() ? { experiment_id: Number(experiment_id) } : { device_ids: numbers(device_ids) }
    await post('exports', { ...what, ...choices, from: dayBegins(from), to: dayEnds(to), rollup: rollup || null })
    await this.look()
  }

  /** Shows all exports, and goes on while one of them does. */
  async look() {
    this.unwatch?.()
    if ((await this.tell()) && !this.ended) this.unwatch = watch(() => this.tell(), EVERY)
  }

  /** Shows all exports; whether one of them goes on. */
  async tell() {
    const { rows } = await list('exports', { per_page: SHOWN })
    const cards = rows.map((each) => [JSON.stringify({ ...each, download_url: null, metadata_url: null }), each])
    this.cards = new Map(cards.map(([said, each]) => [said, this.cards.get(said) ?? this.card(each)]))
    if (!rows.length) this.form.open = true
    keep(this.list, rows.length ? [...this.cards.values()] : [empty(words.emptyTitle, words.emptyText)])
    return rows.some(({ state }) => state === 'queued' || state === 'running')
  }

  card(each) {
    const { id, state, percent, device_ids: devices, query, rows, bytes, error } = each
    const goesOn = state === 'queued' || state === 'running'
    const act = (task) => async () => (await task(), await this.look())
    const bar = h('progress', { max: '100', value: percent, 'aria-label': words.progress })
    const range = [query.from, query.to].map((time) => dayOf(time) || '…').join(' – ')
    return h(
      'article',
      { class: 'card' },
      h('h3', {}, words.named(id, devices.length === 1 ? `#${devices[0]}` : strings.devices(devices.length))),
      h('p', { class: 'note' }, [words.states[state], query.format?.toUpperCase(), range, rows === null ? null : words.rows(rows, bytes)].filter(Boolean).join(' · ')),
      goesOn ? h('div', {}, bar, h('small', { role: 'status' }, `${percent} %`)) : null,
      error ? h('p', {}, error) : null,
      h(
        'div',
        { class: 'buttons' },
        each.download_url ? h('a', { class: 'button main', href: each.download_url, download: each.filename }, words.fetch(each.filename)) : null,
        each.metadata_url ? h('a', { href: each.metadata_url, download: '' }, 'metadata.json') : null,
        goesOn ? button(words.cancel, act(() => post(`exports/${id}/cancel`))) : null,
        goesOn ? null : careful(words.remove, words.reallyRemove, act(() => remove(`exports/${id}`))),
        each.expires_at ? h('small', {}, words.until, when(each.expires_at)) : null,
      ),
    )
  }

  end() {
    this.ended = true
    this.unwatch?.()
  }
}

/** Begins an export of all that a device has measured, and shows in `place` how far it is until its file can be fetched. */
export async function exportDevice(id, place) {
  const { id: number } = await post('exports', { device_ids: [id] })
  const bar = h('progress', { max: '100', value: 0, 'aria-label': words.progress })
  const said = h('small', { role: 'status' }, words.states.queued)
  fill(place, bar, said)
  const look = async () => {
    const { state, percent, error, download_url: url, filename } = await get(`exports/${number}`)
    bar.value = percent
    said.textContent = `${words.states[state]} · ${percent} %`
    if (state === 'finished') fill(place, h('a', { class: 'button main', href: url, download: filename }, words.fetch(filename)))
    if (state === 'failed' || state === 'cancelled') fill(place, h('p', { class: 'note' }, `${words.states[state]} ${error ?? ''}`))
    return bar.isConnected
  }
  watch(look, EVERY)
}
