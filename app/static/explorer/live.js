// Pages that follow what is committed: they listen to a device's stream.

import { attempt } from './dom.js'
import { HOUR } from './format.js'

const PAUSE = 2000 // ms from one look at the history to the next
const AGAIN = 10_000 // ms until a server that has turned us away is asked again; after a break the browser itself comes back

/** Listens to a device, by event; returns what ends it. `reset` is told whenever something may have been missed. */
export function listen(id, listeners) {
  let source
  let again
  const end = () => {
    clearTimeout(again)
    source.close()
  }
  const open = () => {
    source = new EventSource(`/v0/stream?device_id=${id}`)
    for (const [name, tell] of Object.entries(listeners)) source.addEventListener(name, tell)
    source.addEventListener('end', end)
    source.addEventListener('error', () => {
      if (source.readyState === EventSource.CLOSED) again = setTimeout(reopen, AGAIN)
    })
  }
  const reopen = () => {
    open()
    source.addEventListener('open', listeners.reset, { once: true })
  }
  open()
  return end
}

/** Lets a device's page follow what comes, late readings too, until the function that it returns is called; a page that nobody sees holds no connection. */
export function follow(page) {
  let deaf = null // ends listening, while we do
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
      page.hear(time)
      unknown ||= !page.online && Date.now() - at < HOUR
      shown ||= at >= page.from && at <= page.to
      for (const { id, value } of sensors) {
        const sensor = page.sensors.find((each) => each.id === id)
        if (!sensor) unknown = true
        else if (at >= Date.parse(sensor.last_reading_at)) {
          if (at > Date.parse(sensor.last_reading_at)) sensor.prev_value = sensor.value
          Object.assign(sensor, { value, last_reading_at: time })
          page.latest.renew(sensor)
        }
      }
    }
    if (unknown) reload()
    else if (shown) look()
  }

  const reload = () => attempt(() => page.reload())

  function open() {
    deaf ??= listen(page.device.id, { readings: (event) => take(JSON.parse(event.data)), reset: reload })
  }

  function close() {
    deaf?.()
    deaf = null
  }

  function turn() {
    if (document.hidden) return close()
    open()
    reload() // what came meanwhile
  }

  document.addEventListener('visibilitychange', turn)
  window.addEventListener('pagehide', close)
  if (!document.hidden) open()
  return () => {
    document.removeEventListener('visibilitychange', turn)
    window.removeEventListener('pagehide', close)
    clearTimeout(pausing)
    close()
  }
}
