// What one takes away from a device's page: what its charts show, as a file; all that it has measured, by an export.

import { fill, h } from './dom.js'
import { exportDevice } from './exports.js'
import { cell } from './format.js'
import { button } from './forms.js'
import { user } from './session.js'
import { strings } from './strings.js'

/** Saves what charts show: a row a time, a column a component. */
export function download(id, charts) {
  const rows = new Map()
  const names = ['time']
  for (const { series, rows: shown } of charts) {
    shown.forEach((readings, place) => {
      const { device, sensor } = series[place]
      names.push(`${place ? `${device.name}: ` : ''}${sensor.name}${sensor.unit ? ` [${sensor.unit}]` : ''}`)
      for (const [time, mean] of readings) {
        if (!rows.has(time)) rows.set(time, [time])
        rows.get(time)[names.length - 1] = mean
      }
    })
  }
  if (!rows.size) throw new Error(strings.nothingToDownload)
  const lines = [names, ...[...rows.values()].sort((a, b) => (a[0] < b[0] ? -1 : 1))]
  const text = lines.map((line) => Array.from(names, (_, place) => cell(line[place])).join(',')).join('\r\n')
  const link = h('a', { href: URL.createObjectURL(new Blob([`${text}\r\n`], { type: 'text/csv' })), download: `device-${id}.csv` })
  link.click()
  URL.revokeObjectURL(link.href)
}

/** All that a device has measured, by an export: for whoever has signed in. */
export function archive(id) {
  const place = h('div')
  const begin = async () => {
    if (!(await user())) return fill(place, h('p', { class: 'note' }, strings.archiveSignIn), h('a', { class: 'button', href: '#/sign-in' }, strings.signIn))
    return exportDevice(id, place)
  }
  const choices = h('a', { href: `#/exports?device=${id}` }, strings.archiveChoose)
  return fill(place, h('p', { class: 'note' }, strings.archiveAbout), h('div', { class: 'buttons' }, button(strings.archiveBegin, begin), choices))
}
