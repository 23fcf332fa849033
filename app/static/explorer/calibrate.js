// Calibrate a component: its versions, a candidate's curve beside the old one and a reference's, and the redo of its history.

import { deviceFrame } from './device_frame.js'
import { list, post } from './api.js'
import { attempt, fill, h, watch } from './dom.js'
import { dayBegins } from './format.js'
import { empty, field, form, select, table, when } from './forms.js'
import { drawLines } from './lines.js'
import { strings } from './strings.js'

const words = strings.calibratePage
const EVERY = 1000 // ms between two looks at the redo

export async function show(panel, { device: id, view }) {
  const frame = await deviceFrame(panel, id, words)
  if (!frame) return
  const page = new Calibrate(frame, Number(view.get('sensor')))
  if (page.sensor) await page.versions()
  return { end: () => page.end() }
}

class Calibrate {
  constructor({ content, device }, wanted) {
    this.device = device
    const { sensors } = device.data
    this.sensor = sensors.find(({ id }) => id === wanted) ?? sensors.find(({ value }) => value !== null) ?? sensors[0]
    if (!this.sensor) return fill(content, empty(words.emptyTitle, words.emptyText))
    this.known = h('div')
    this.preview = h('div')
    this.redo = h('div', { role: 'status' })
    const choose = ({ target }) => {
      this.sensor = sensors.find(({ id }) => id === Number(target.value))
      fill(this.preview)
      return attempt(() => this.versions())
    }
    const rows = sensors.map(({ id, name, default_key: key }) => [id, key ? `${name} (${key})` : name])
    fill(
      content,
      h('div', { class: 'card' }, field(words.component, select({ onchange: choose }, rows, this.sensor.id)), this.known),
      h('div', { class: 'card' }, h('h3', {}, words.newTitle), this.asking(), this.preview, this.redo),
    )
  }

  asking() {
    return form(
      {
        submit: words.preview,
        onSubmit: (values) => ('save' in values ? this.save(values) : this.compare(values)),
        buttons: [h('button', { type: 'submit', name: 'save' }, words.save)],
      },
      field(words.equation, h('textarea', { name: 'equation', rows: '2', class: 'code', required: true, spellcheck: false }, 'raw'), words.equationHint),
      h(
        'div',
        { class: 'row' },
        field(words.validFrom, h('input', { name: 'valid_from', type: 'date' }), words.validFromHint),
        field(words.reference, h('input', { name: 'reference_device_id', type: 'number', min: '1' }), words.referenceHint),
      ),
      field(words.note, h('input', { name: 'note' }), words.noteHint),
    )
  }

  /** The versions that bear on the component, the nearest first. */
  async versions() {
    const { rows } = await list(`devices/${this.device.id}/calibrations`, { sensor_id: this.sensor.id, per_page: 50 })
    const cells = rows.map((each) => [
      h('code', {}, each.equation ?? words.wider),
      words.scopes[each.scope],
      when(each.valid_from),
      each.superseded ? words.superseded : each.valid_until ? when(each.valid_until) : words.holds,
      h('div', {}, each.author ?? '', each.note ? h('small', {}, ` ${each.note}`) : null),
    ])
    fill(this.known, rows.length ? table([words.equation, words.scope, words.validFrom, words.until, words.by], cells) : h('p', { class: 'note' }, words.none))
  }

  async compare({ equation, reference_device_id: reference }) {
    const body = { sensor_id: this.sensor.id, equation, reference_device_id: reference ? Number(reference) : null }
    const found = await post(`devices/${this.device.id}/calibrations/preview`, body)
    const oldest = [...found.readings].reverse()
    const column = (place) => oldest.map((row) => row[place])
    const lines = [
      { label: words.old, values: column(2) },
      { label: words.new, values: column(3) },
    ]
    const times = column(0).map((time) => Date.parse(time) / 1000)
    const plot = h('div', { class: 'plot' })
    const unit = this.sensor.unit ?? ''
    const said = [words.change(found.change, unit)]
    fill(this.preview, h('figure', { class: 'chart' }, h('figcaption', {}, words.curves(this.sensor.name)), plot), h('p', { role: 'status' }, said.join(' ')))
    if (found.reference) {
      const hours = [...found.reference.hours].reverse()
      lines.push({ label: words.referenceLine(found.reference.device_id), times: hours.map(([time]) => Date.parse(time) / 1000), values: hours.map(([, value]) => value) })
      this.preview.lastChild.append(` ${words.beside(found.reference, unit)}`)
    }
    if (!oldest.length) return fill(this.preview, empty(words.nothingTitle, words.nothingText))
    this.plot?.destroy()
    this.plot = await drawLines(plot, times, lines, unit)
  }

  async save({ equation, valid_from: from, note }) {
    const body = { sensor_id: this.sensor.id, equation, note, valid_from: dayBegins(from) }
    const added = await post(`devices/${this.device.id}/calibrations`, body)
    await this.versions()
    this.unwatch?.()
    if (await this.follow(added.id)) this.unwatch = watch(() => this.follow(added.id), EVERY)
  }

  /** Shows how far the values have been computed anew; whether that goes on. */
  async follow(calibration) {
    const { rows } = await list('recalibrations', { calibration_id: calibration })
    const [redo] = rows
    if (!redo) return fill(this.redo, h('p', {}, words.saved)) && false
    const over = !['queued', 'running'].includes(redo.state)
    const bar = h('progress', { max: '1', value: redo.progress, 'aria-label': words.redoing })
    fill(this.redo, h('p', {}, over ? words.redone(redo) : words.redoing), over ? null : bar)
    return !over && !this.ended
  }

  end() {
    this.ended = true
    this.unwatch?.()
    this.plot?.destroy()
  }
}
