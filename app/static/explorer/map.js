// The map: every device that one may see, coloured by the newest value of a measurement; many at one place are one circle.

import { change, deviceAddress, read } from './address.js'
import { get } from './api.js'
import { attempt } from './dom.js'
import { Legend } from './legend.js'
import { circle, near } from './points.js'

const { L, topojson } = window
const ATLAS = '/static/vendor/world-atlas-2.0.2/countries-110m.json'
const TEMPERATURE = 1 // the measurement shown when nobody has chosen
const REFRESH = 60_000 // ms
const MARGIN = 0.4 // of the view, read beyond each of its sides: a short way is panned without asking

/** The place that an address names, [latitude, longitude, zoom], or null; and what of the devices there it wants to see. */
function wanted(view) {
  const at = (view.get('at') ?? '').split(',').map(Number)
  const choice = { measurement: Number(view.get('m')) || TEMPERATURE, online: view.get('online') === '1', tag: view.get('tag') ?? '', kit: Number(view.get('kit')) || null }
  return { at: at.length === 3 && at.every(Number.isFinite) ? at : null, choice }
}

/** A longitude on the world's first copy. */
const wrap = (longitude) => ((((longitude + 180) % 360) + 360) % 360) - 180

/** Lets the outlines that cross the antimeridian go on beyond 180 degrees, not back round the world. */
function unwrap(polygons) {
  for (const ring of polygons.flat()) {
    for (let place = 1; place < ring.length; place++) {
      ring[place][0] += 360 * Math.round((ring[place - 1][0] - ring[place][0]) / 360)
    }
  }
}

export class DeviceMap {
  constructor(element, legend) {
    this.map = L.map(element, { preferCanvas: true, minZoom: 2, maxZoom: 18, worldCopyJump: true, attributionControl: false })
    this.points = L.layerGroup().addTo(this.map)
    this.ring = L.circleMarker([0, 0], { radius: 13, weight: 3, fill: false, interactive: false })
    const { at, choice } = wanted(read().view)
    const [latitude, longitude, zoom] = at ?? [25, 10, 2]
    this.map.setView([latitude, longitude], zoom)
    this.choice = choice
    this.legend = new Legend(legend, this.choice, {
      onChoice: (choice) => this.choose(choice),
      onPlace: (place) => this.map.setView(near(this.map, place), this.map.getZoom() + 2),
    })
    this.map.on('moveend', () => this.moved())
  }

  async start() {
    attempt(() => this.ground())
    const look = () => Promise.all([this.legend.start(), this.look()])
    setInterval(() => document.hidden || attempt(look), REFRESH)
    await look()
  }

  /** Draws the tile server's map where one is configured, else the countries' outlines. */
  async ground() {
    const { content, dataset } = document.querySelector('meta[name=tiles]')
    if (content) {
      L.control.attribution({ prefix: false }).addTo(this.map)
      L.tileLayer(content, { attribution: dataset.attribution, maxZoom: 19 }).addTo(this.map)
      return
    }
    const atlas = await (await fetch(ATLAS)).json()
    const pane = this.map.createPane('ground')
    pane.style.zIndex = 200
    const renderer = L.svg({ pane: 'ground', padding: 0.5 })
    const style = { className: 'land', weight: 0.7, fillOpacity: 1 }
    const countries = topojson.feature(atlas, atlas.objects.countries)
    for (const { geometry } of countries.features) unwrap(geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates)
    L.geoJSON(countries, { pane: 'ground', renderer, style, interactive: false }).addTo(this.map)
  }

  /** Reads the devices in view and a little around it. */
  async look() {
    this.waiting?.abort()
    this.waiting = new AbortController()
    const zoom = this.map.getZoom()
    const box = this.map.getBounds().pad(MARGIN)
    const [west, south, east, north] = box.toBBoxString().split(',').map(Number)
    const [left, right] = east - west >= 360 ? [-180, 180] : [wrap(west), wrap(east)]
    const bbox = [left, Math.max(south, -90), right, Math.min(north, 90)].map((degrees) => degrees.toFixed(4)).join()
    const { measurement, online, tag, kit } = this.choice
    const parameters = { bbox, zoom, measurement_id: measurement, online: online || null, with_tags: tag, kit_id: kit }
    const { features, values } = await get('devices/map.geojson', parameters, { signal: this.waiting.signal })
    this.seen = { box, zoom, features }
    this.scale = values ?? null
    this.draw()
  }

  draw() {
    this.points.clearLayers()
    for (const feature of this.seen.features) {
      const open = () => {
        if (feature.id) location.hash = deviceAddress(feature.id)
        else this.map.setView(near(this.map, feature.geometry), this.map.getZoom() + 2)
      }
      circle(this.map, feature, this.scale).on('click', open).addTo(this.points)
    }
    this.tell()
  }

  /** Lets the legend speak of what is in view. */
  tell() {
    const view = this.map.getBounds()
    this.legend.show(this.seen.features.filter(({ geometry }) => view.contains(near(this.map, geometry))), this.scale)
  }

  choose(choice) {
    this.choice = choice
    this.address()
    attempt(() => this.look())
  }

  /** Shows what an address names; what it does not name stays, and is told there. */
  follow(view) {
    const { at, choice } = wanted(view)
    if (at) this.map.setView(at.slice(0, 2), at[2], { animate: false })
    if (['m', 'online', 'tag', 'kit'].some((name) => view.has(name)) && JSON.stringify(choice) !== JSON.stringify(this.choice)) this.legend.set(choice)
    if (this.seen) this.address()
  }

  /** Lets the address say what is shown. */
  address() {
    const { measurement, online, tag, kit } = this.choice
    const { lat, lng } = this.map.getCenter()
    const at = read().parts.length ? null : `${lat.toFixed(3)},${lng.toFixed(3)},${this.map.getZoom()}` // a device's page has its own place
    change({ at, m: measurement === TEMPERATURE ? null : measurement, online: online ? '1' : null, tag, kit })
  }

  moved() {
    if (this.seen) {
      const known = this.seen.zoom === this.map.getZoom() && this.seen.box.contains(this.map.getBounds())
      if (known) this.tell()
      else attempt(() => this.look())
    }
    if (!read().parts.length) this.address()
  }

  /** Puts a ring round the device that is looked at. */
  mark({ latitude, longitude } = {}) {
    if (latitude === undefined) return this.ring.remove()
    this.ring.setLatLng([latitude, longitude]).addTo(this.map)
    this.map.setView([latitude, longitude], Math.max(this.map.getZoom(), 6), { animate: false })
  }

  /** Shows a tag's devices alone. */
  filter(tag) {
    this.legend.set({ tag })
  }

  fly({ latitude, longitude }) {
    this.map.setView([latitude, longitude], 11)
  }

  resize() {
    this.map.invalidateSize()
  }
}
