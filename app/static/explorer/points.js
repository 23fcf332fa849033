// What the map draws on its canvas: a device as a dot, several at one place as a circle with their number.

import { beyond, colour, ink, UNKNOWN } from './colours.js'
import { h } from './dom.js'
import { number } from './format.js'
import { strings } from './strings.js'

const { L } = window
const ONLINE = '#15803d'
const OFFLINE = '#5b6472'

/** Leaflet draws its circles one after the other on one canvas; ours write on it too. */
const Cluster = L.CircleMarker.extend({
  _updatePath() {
    L.CircleMarker.prototype._updatePath.call(this)
    const { _ctx: canvas, _drawing: drawing } = this._renderer
    if (!drawing || !this._point) return
    canvas.fillStyle = this.options.ink
    canvas.font = '600 11px system-ui, sans-serif'
    canvas.textAlign = 'center'
    canvas.textBaseline = 'middle'
    canvas.fillText(this.options.text, this._point.x, this._point.y)
  },
})

/** The place of a point on the copy of the world that is in view. */
export function near(map, { coordinates: [longitude, latitude] }) {
  const turns = Math.round((map.getCenter().lng - longitude) / 360)
  return L.latLng(latitude, longitude + 360 * turns)
}

/** The circle of a feature of map.geojson. */
export function circle(map, { id, geometry, properties }, scale) {
  const { count, online, value, name } = properties
  const place = near(map, geometry)
  const coloured = value !== undefined && scale
  const fillColor = coloured ? colour(value, [scale.low, scale.high]) : UNKNOWN
  const outside = coloured ? beyond(value, scale) : 0
  const dashArray = outside ? '3 3' : null // its colour is that of the scale's end, and its value is not
  const drawn = id
    ? L.circleMarker(place, {
        radius: value === undefined ? 5 : 7,
        color: online ? ONLINE : OFFLINE,
        weight: online ? 2 : 1,
        dashArray,
        fillColor,
        fillOpacity: online ? 1 : 0.6,
      })
    : new Cluster(place, {
        radius: 10 + 3.5 * Math.log10(count),
        color: online ? ONLINE : OFFLINE,
        weight: online ? 2 : 1,
        dashArray,
        fillColor,
        fillOpacity: 0.92,
        text: count < 10_000 ? String(count) : `${Math.round(count / 1000)}k`,
        ink: ink(fillColor),
      })
  const said = value === undefined ? '' : `${number(value)} ${scale?.unit ?? ''}${outside ? ` (${strings.beyond})` : ''}`
  return drawn.bindTooltip(() =>
    id
      ? h('div', {}, h('strong', {}, name), h('br'), [said, online ? strings.online : strings.offline].filter(Boolean).join(' · '))
      : h('div', {}, h('strong', {}, strings.devices(count)), h('br'), [said && strings.mean(said), strings.onlineOf(online)].filter(Boolean).join(' · ')),
  )
}
