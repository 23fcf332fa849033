// A chart of history that asks for the rollup that fits its pixels, again after each zoom and pan. uPlot draws it.

import { get } from './api.js'
import { h } from './dom.js'
import { iso, number } from './format.js'
import { called } from './latest.js'
import { axes, paint, times, uPlotLibrary } from './lines.js'
import { strings } from './strings.js'

const LADDER = [['1m', 60], ['5m', 300], ['15m', 900], ['1h', 3600], ['6h', 21600], ['1d', 86400], ['1w', 604800], ['1M', 2629800]]
const HEIGHT = 220
const NULL_EXPAND = 2 // uPlot's: a hole in one line stays one where others have points
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
  /** `series`: [{device, sensor}], the page's own first; `lacking`: names of devices that have nothing to show beside it;
   * `onRange(from, to)` in milliseconds when somebody zooms or pans. */
  constructor(series, { lacking, onRange }) {
    this.series = series
    this.lacking = lacking
    this.onRange = onRange
    this.note = h('p', { class: 'note' })
    this.canvas = h('div', { class: 'plot' })
    this.element = h('figure', { class: 'chart' }, h('figcaption', {}, called(series[0].sensor)), this.canvas, this.note)
    this.rows = []
  }

  /** Reads and draws a range, in milliseconds; what an older call still waits for is given up. */
  async show(from, to, zone, band) {
    this.waiting?.abort()
    this.waiting = new AbortController()
    this.note.textContent = strings.loading
    const rollup = rollupFor((to - from) / 1000, this.canvas.clientWidth || 600)
    const parameters = { rollup, function: 'avg,min,max', from: iso(from), to: iso(to), tz: zone }
    const ask = ({ device, sensor }) => get(`devices/${device.id}/readings`, { ...parameters, sensor_id: sensor.id }, { signal: this.waiting.signal })
    try {
      const [uPlot, ...answers] = await Promise.all([uPlotLibrary(), ...this.series.map(ask)])
      this.rows = answers.map((answer) => answer.readings)
      const sizes = answers.reduce((sum, answer) => sum + answer.sample_size, 0)
      const said = sizes ? strings.buckets(strings.rollups[rollup], sizes) : strings.noReadings
      this.note.textContent = [said, ...this.lacking.map(strings.lacks)].join(' ')
      this.draw(uPlot, from, to, zone, band)
    } catch (error) {
      if (error.name !== 'AbortError') this.note.textContent = error.message
    }
  }

  draw(uPlot, from, to, zone, band) {
    this.range = { from, to }
    const tables = this.rows.map((rows) => columns(rows))
    const holes = tables.map((table) => table.map(() => NULL_EXPAND))
    const data = uPlot.join(tables, holes)
    this.canvas.setAttribute('role', 'img')
    this.canvas.setAttribute('aria-label', `${this.element.firstChild.textContent}: ${this.note.textContent}`)
    const look = `${zone} ${band}`
    if (this.look === look) {
      this.plot.setData(data, false) // what the mouse is doing goes on
      return this.plot.setScale('x', { min: from / 1000, max: to / 1000 })
    }
    this.look = look
    this.plot?.destroy()
    const drawn = [times(zone)]
    tables.forEach((_, place) => {
      const colour = paint(`line-${place % 4}`)
      const { device, sensor: { measurement, name, unit } } = this.series[place]
      const label = place ? device.name : (measurement?.name ?? name)
      const value = (plot, y, series, at) => {
        if (y === null || y === undefined) return '–'
        const edges = band ? ` (${[1, 2].map((after) => number(plot.data[series + after][at])).join(' – ')})` : ''
        return `${number(y)} ${unit ?? ''}${edges}`
      }
      const edge = { stroke: `${colour}55`, width: 1, points: { show: false }, show: band, class: 'edge' }
      drawn.push({ label, stroke: colour, width: 1.5, value, points: { size: 4 } })
      drawn.push(edge, edge)
    })
    const options = {
      width: this.canvas.clientWidth || 600,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      scales: { x: { min: from / 1000, max: to / 1000 } },
      series: drawn,
      bands: band ? tables.map((_, place) => ({ series: [3 * place + 3, 3 * place + 2], fill: `${drawn[3 * place + 1].stroke}22` })) : [],
      axes: axes(this.series[0].sensor.unit, zone),
      legend: { live: true },
      cursor: { drag: { x: true, y: false, setScale: false } },
      hooks: {
        setSelect: [(plot) => this.zoom(plot)],
      },
    }
    this.plot = new uPlot(options, data, this.canvas)
    this.plot.over.addEventListener('wheel', (event) => this.wheel(event), { passive: false })
    this.plot.over.addEventListener('dblclick', () => this.widen())
  }

  zoom(plot) {
    const { left, width } = plot.select
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    if (width < 8) return
    this.onRange(plot.posToVal(left, 'x') * 1000, plot.posToVal(left + width, 'x') * 1000)
  }

  widen() {
    const { from, to } = this.range
    this.onRange(from - (to - from) / 2, to + (to - from) / 2)
  }

  /** Zooms where Ctrl is held, as it is of two fingers on a touchpad; without it the page scrolls. */
  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return
    const { from, to } = this.range
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
