// A device's page follows what is committed: its latest values, and charts that show the time of a reading, late ones too.

import { attempt } from './dom.js'

const PAUSE = 2000 // ms from one look at the history to the next

/** Follows until the function that it returns is called; a page that nobody sees holds no connection. */
export function follow(page) {
  let source = null
  let pausing = null // until it ends, what comes waits
  let waiting = false

  function look() {
    waiting = pausing !== null
    if (waiting) return
    pausing = setTimeout(() => {
      pausing = null
      if (waiting) look()
    }, PAUSE)
    attempt(() => page.read())
  }

  function take({ readings }) {
    let unknown = false
    let shown = false
    for (const { recorded_at: time, sensors } of readings) {
      const at = Date.parse(time)
      const newest = Date.parse(page.device.last_reading_at)
      if (!(at <= newest)) page.device.last_reading_at = time
      if (page.to === newest && at > newest) {
        page.from += at - page.to
        page.to = at
      }
      shown ||= at >= page.from && at <= page.to
      for (const { id, value } of sensors) {
        const sensor = page.sensors.find((each) => each.id === id)
        if (!sensor) unknown = true
        else if (at >= Date.parse(sensor.last_reading_at)) {
          if (at > Date.parse(sensor.last_reading_at)) sensor.prev_value = sensor.value
          Object.assign(sensor, { value, last_reading_at: time })
          page.renew(sensor)
        }
      }
    }
    if (unknown) attempt(() => page.reload())
    else if (shown) look()
  }

  function open() {
    if (document.hidden || source) return
    source = new EventSource(`/v0/stream?device_id=${page.device.id}`)
    source.addEventListener('readings', (event) => take(JSON.parse(event.data)))
    source.addEventListener('reset', () => attempt(() => page.reload()))
    source.addEventListener('end', close)
  }

  function close() {
    source?.close()
    source = null
  }

  function turn() {
    if (document.hidden) return close()
    open()
    attempt(() => page.reload()) // what came meanwhile
  }

  document.addEventListener('visibilitychange', turn)
  window.addEventListener('pagehide', close)
  open()
  return () => {
    document.removeEventListener('visibilitychange', turn)
    window.removeEventListener('pagehide', close)
    clearTimeout(pausing)
    close()
  }
}
