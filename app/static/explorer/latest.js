// The table of a device's latest values, in which one chooses what to chart.

import { h } from './dom.js'
import { number } from './format.js'
import { ago } from './forms.js'
import { strings } from './strings.js'

const MANY = 12 // rows above which the rest waits until it is asked for
const FIRST = [1, 4, 14, 2] // measurements that people ask for first: temperature, noise, PM2.5, humidity

/** Sensors that have sent something, what people ask for first before the others. */
export function sending(device) {
  const rank = ({ measurement }) => (FIRST.indexOf(measurement?.id) + 1 || FIRST.length + 1)
  return device.data.sensors.filter((sensor) => sensor.last_reading_at).sort((a, b) => rank(a) - rank(b))
}

/** What people call it, before the chip that measures it. */
export const called = ({ name, measurement }) => [measurement?.name ?? name, measurement && measurement.name !== name ? h('small', {}, ` ${name}`) : null]

export class Latest {
  /** `onChoose(id, wished)` when a sensor's chart is wanted, or not any more. */
  constructor(sensors, chosen, onChoose) {
    this.rows = new Map()
    const rows = sensors.map((sensor, place) => {
      const box = h('input', {
        type: 'checkbox',
        checked: chosen.has(sensor.id),
        'aria-label': strings.show(sensor.name),
        onchange: ({ target }) => onChoose(sensor.id, target.checked),
      })
      const hidden = sensors.length > MANY && place >= MANY && !chosen.has(sensor.id)
      const row = h('tr', { hidden }, h('td', {}, box), h('th', { scope: 'row' }, called(sensor)), cells(sensor))
      this.rows.set(sensor.id, row)
      return row
    })
    const head = [strings.component, strings.value, strings.age].map((text) => h('th', { scope: 'col' }, text))
    const all = h('button', { type: 'button', hidden: rows.every(({ hidden }) => !hidden), onclick: () => this.showAll(all) }, strings.showAll(rows.length))
    this.element = h(
      'div',
      {},
      h('div', { class: 'scroll' }, h('table', { 'aria-live': 'off' }, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, h('span', { class: 'unseen' }, strings.chart)), head)), h('tbody', {}, rows))),
      all,
    )
  }

  showAll(button) {
    const [first] = [...this.rows.values()].filter(({ hidden }) => hidden)
    for (const row of this.rows.values()) row.hidden = false
    button.hidden = true
    first.querySelector('input').focus() // where the button was
  }

  /** Shows a sensor's latest value anew; its box stays, with the focus in it. */
  renew(sensor) {
    const [, , ...old] = this.rows.get(sensor.id).children
    cells(sensor).forEach((cell, place) => old[place].replaceWith(cell))
  }
}

/** The cells that change when a sensor has sent something. */
function cells(sensor) {
  const trend = sensor.prev_value === null ? 0 : Math.sign(sensor.value - sensor.prev_value)
  const [arrow, word] = [['↘', strings.falling], ['→', strings.steady], ['↗', strings.rising]][trend + 1]
  return [h('td', { class: 'value' }, `${number(sensor.value)} ${sensor.unit ?? ''} `, h('span', { role: 'img', title: word, 'aria-label': word }, arrow)), h('td', {}, ago(sensor.last_reading_at))]
}
