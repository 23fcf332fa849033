// uPlot: loaded when the first chart is drawn, for the map does not need it; and a plain chart of some lines.

import { h } from './dom.js'
import { DAY, number } from './format.js'
import { strings } from './strings.js'

const [MONTH, YEAR] = [28 * 86400, 365 * 86400] // seconds, the shortest

let library

export function uPlotLibrary() {
  library ??= new Promise((loaded, failed) => {
    const script = h('script', { src: '/static/vendor/uplot-1.6.32/uPlot.iife.min.js', onload: () => loaded(window.uPlot), onerror: () => failed(new Error(strings.network)) })
    const style = h('link', { rel: 'stylesheet', href: '/static/vendor/uplot-1.6.32/uPlot.min.css' })
    document.head.append(style, script)
  })
  library.catch(() => (library = undefined)) // the next chart asks again
  return library
}

/** The page's colour of a line, and of text. */
export const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** The axes of times and of values, as people here write them; a time has its day below it where that begins. */
export function axes(unit, timeZone) {
  const text = paint('text')
  const axis = { stroke: text, grid: { stroke: `${text}22` }, ticks: { stroke: `${text}22` } }
  const by = (options) => (seconds) => new Date(seconds * 1000).toLocaleString(undefined, { timeZone, ...options })
  const year = by({ year: 'numeric' })
  const day = by({ day: 'numeric', month: 'short' })
  const along = (_plot, ticks, _axis, _space, step) => {
    const [small, large] = step < DAY / 1000 ? [by({ timeStyle: step < 60 ? 'medium' : 'short' }), day] : step < YEAR ? [step < MONTH ? day : by({ month: 'short' }), year] : [year, () => '']
    return ticks.map((tick, place) => (place && large(tick) === large(ticks[place - 1]) ? small(tick) : `${small(tick)}\n${large(tick)}`))
  }
  const amounts = (_plot, ticks, _axis, _space, step) => {
    const digits = Math.max(0, Math.ceil(-Math.log10(step)) + 1) // two ticks never look the same
    return ticks.map((tick) => tick.toLocaleString(undefined, { maximumFractionDigits: digits }))
  }
  return [{ ...axis, space: 60, values: along }, { ...axis, size: 60, label: unit ?? '', values: amounts }]
}

/** The series of times: its label, and the time that the cursor is at. */
export const times = (timeZone) => ({
  label: strings.time,
  value: (_plot, seconds) => (seconds === null ? '–' : new Date(seconds * 1000).toLocaleString(undefined, { timeZone, dateStyle: 'medium', timeStyle: 'short' })),
})

/** Draws lines at times in seconds; a line may have `times` of its own. Returns what can be destroyed. */
export async function drawLines(element, at, lines, unit) {
  const uPlot = await uPlotLibrary()
  const value = (_plot, y) => (y === null ? '–' : `${number(y)} ${unit}`)
  const series = lines.map(({ label }, place) => ({ label, stroke: paint(`line-${place}`), width: 1.5, value, points: { show: false }, spanGaps: place > 1 }))
  const options = {
    width: element.clientWidth || 600,
    height: 260,
    series: [times(), ...series],
    axes: axes(unit),
  }
  element.setAttribute('role', 'img')
  element.setAttribute('aria-label', lines.map(({ label }) => label).join(', '))
  return new uPlot(options, uPlot.join(lines.map((line) => [line.times ?? at, line.values])), element)
}
