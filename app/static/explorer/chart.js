// A chart of history that asks for the rollup that fits its pixels, again after each zoom and pan. uPlot draws it.

import { get } from './api.js'
import { h } from './dom.js'
import { iso, number } from './format.js'
import { paint, uPlotLibrary } from './lines.js'
import { strings } from './strings.js'

const LADDER = [['1m', 60], ['5m', 300], ['15m', 900], ['1h', 3600], ['6h', 21600], ['1d', 86400], ['1w', 604800], ['1M', 2629800]]
const HEIGHT = 220
const LONGEST = 100 * 365 * 86400 // seconds one can zoom out to

/** The finest rollup that gives at most a bucket for every two pixels. */
function rollupFor(seconds, pixels) {
  const most = Math.max(50, pixels / 2)
  return (LADDER.find(([, length]) => seconds / length <= most) ?? LADDER.at(-1))[0]
}

/** Oldest first, as columns: times in seconds, then mean, lowest, highest; a hole longer than the others breaks the line. */
function columns(readings) {
  const [times, mean, low, high] = [[], [], [], []]
  const steps = readings.slice(1).map((row, place) => Date.parse(readings[place][0]) - Date.parse(row[0]))
  const usual = steps.length ? [...steps].sort((a, b) => a - b)[steps.length >> 1] : Infinity
  let last = null
  for (const [time, average, lowest, highest] of [...readings].reverse()) {
    const at = Date.parse(time)
    if (last !== null && at - last > 2.5 * usual) {
      times.push((last + usual) / 1000)
      for (const column of [mean, low, high]) column.push(null)
    }
    times.push(at / 1000)
    mean.push(average)
    low.push(lowest)
    high.push(highest)
    last = at
  }
  return [times, mean, low, high]
}

/** One component's chart, with others on the same axis to compare with. */
export class Chart {
  /** `series`: [{device, sensor, label, unit}]; `onRange(from, to)` in milliseconds when somebody zooms or pans. */
  constructor(series, { onRange }) {
    this.series = series
    this.onRange = onRange
    this.note = h('p', { class: 'note' })
    this.canvas = h('div', { class: 'plot' })
    this.element = h('figure', { class: 'chart' }, h('figcaption', {}, series[0].label), this.canvas, this.note)
    this.rows = []
  }

  /** Reads and draws a range, in milliseconds; what an older call still waits for is given up. */
  async show(from, to, zone, band) {
    this.waiting?.abort()
    this.waiting = new AbortController()
    this.note.textContent = strings.loading
    const rollup = rollupFor((to - from) / 1000, this.canvas.clientWidth || 600)
    const parameters = { rollup, function: 'avg,min,max', from: iso(from), to: iso(to), tz: zone }
    const [uPlot, ...answers] = await Promise.all([
      uPlotLibrary(),
      ...this.series.map(({ device, sensor }) =>
        get(`devices/${device}/readings`, { ...parameters, sensor_id: sensor }, { signal: this.waiting.signal }),
      ),
    ])
    this.rows = answers.map((answer) => answer.readings)
    const sizes = answers.reduce((sum, answer) => sum + answer.sample_size, 0)
    this.note.textContent = sizes ? strings.buckets(rollup, sizes) : strings.noReadings
    this.draw(uPlot, from, to, zone, band)
  }

  draw(uPlot, from, to, zone, band) {
    this.plot?.destroy()
    const tables = this.rows.map((rows) => columns(rows))
    const drawn = [{}]
    tables.forEach((_, place) => {
      const colour = paint(`line-${place % 4}`)
      const { label, unit } = this.series[place]
      const value = (_plot, y) => (y === null ? '–' : `${number(y)} ${unit ?? ''}`)
      const edge = { stroke: `${colour}55`, width: 1, points: { show: false }, show: band, value }
      drawn.push({ label, stroke: colour, width: 1.5, value, points: { size: 4 } })
      drawn.push({ label: 'min', ...edge }, { label: 'max', ...edge })
    })
    const text = paint('text')
    const axis = { stroke: text, grid: { stroke: `${text}22` }, ticks: { stroke: `${text}22` } }
    const options = {
      width: this.canvas.clientWidth || 600,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      scales: { x: { min: from / 1000, max: to / 1000 } },
      series: drawn,
      bands: band ? tables.map((_, place) => ({ series: [3 * place + 3, 3 * place + 2], fill: `${drawn[3 * place + 1].stroke}22` })) : [],
      axes: [axis, { ...axis, size: 60, label: this.series[0].unit ?? '', values: (_plot, ticks) => ticks.map((tick) => number(tick)) }],
      legend: { live: true },
      cursor: { drag: { x: true, y: false, setScale: false } },
      hooks: {
        setSelect: [(plot) => this.zoom(plot)],
      },
    }
    this.plot = new uPlot(options, uPlot.join(tables), this.canvas)
    this.canvas.setAttribute('role', 'img')
    this.canvas.setAttribute('aria-label', `${this.series[0].label}: ${this.note.textContent}`)
    this.plot.over.addEventListener('wheel', (event) => this.wheel(event, from, to), { passive: false })
    this.plot.over.addEventListener('dblclick', () => this.onRange(from - (to - from) / 2, to + (to - from) / 2))
  }

  zoom(plot) {
    const { left, width } = plot.select
    if (width < 8) return
    this.onRange(plot.posToVal(left, 'x') * 1000, plot.posToVal(left + width, 'x') * 1000)
  }

  wheel(event, from, to) {
    event.preventDefault()
    const box = this.plot.over.getBoundingClientRect()
    const share = (event.clientX - box.left) / box.width
    const factor = event.deltaY > 0 ? 1.5 : 1 / 1.5
    const length = Math.min(Math.max((to - from) * factor, 60_000), LONGEST * 1000)
    const at = from + share * (to - from)
    clearTimeout(this.turning)
    this.turning = setTimeout(() => this.onRange(at - share * length, at + (1 - share) * length), 80)
  }

  resize() {
    this.plot?.setSize({ width: this.canvas.clientWidth, height: HEIGHT })
  }

  destroy() {
    this.waiting?.abort()
    this.plot?.destroy()
  }
}
