// uPlot: loaded when the first chart is drawn, for the map does not need it; and a plain chart of some lines.

import { h } from './dom.js'
import { number } from './format.js'

let library

export function uPlotLibrary() {
  library ??= new Promise((loaded, failed) => {
    const script = h('script', { src: '/static/vendor/uplot-1.6.32/uPlot.iife.min.js', onload: () => loaded(window.uPlot), onerror: failed })
    const style = h('link', { rel: 'stylesheet', href: '/static/vendor/uplot-1.6.32/uPlot.min.css' })
    document.head.append(style, script)
  })
  return library
}

/** The page's colour of a line, and of text. */
export const paint = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** Draws lines over times in seconds; a line may have `times` of its own. Returns what can be destroyed. */
export async function drawLines(element, times, lines, unit) {
  const uPlot = await uPlotLibrary()
  const text = paint('text')
  const axis = { stroke: text, grid: { stroke: `${text}22` }, ticks: { stroke: `${text}22` } }
  const value = (_plot, y) => (y === null ? '–' : `${number(y)} ${unit}`)
  const series = lines.map(({ label }, place) => ({ label, stroke: paint(`line-${place}`), width: 1.5, value, points: { show: false }, spanGaps: place > 1 }))
  const options = {
    width: element.clientWidth || 600,
    height: 260,
    series: [{}, ...series],
    axes: [axis, { ...axis, size: 60, label: unit, values: (_plot, ticks) => ticks.map((tick) => number(tick)) }],
  }
  element.setAttribute('role', 'img')
  element.setAttribute('aria-label', lines.map(({ label }) => label).join(', '))
  return new uPlot(options, uPlot.join(lines.map((line) => [line.times ?? times, line.values])), element)
}
