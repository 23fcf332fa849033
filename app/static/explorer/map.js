// The map: every visible device as a point, coloured by the newest value of a measurement.

import { change, deviceAddress, read } from './address.js'
import { get } from './api.js'
import { colour, extent, gradient, UNKNOWN } from './colours.js'
import { attempt, h } from './dom.js'
import { age, number } from './format.js'
import { strings } from './strings.js'

const { L, topojson } = window
const ATLAS = '/static/vendor/world-atlas-2.0.2/countries-110m.json'
const TEMPERATURE = 1 // the measurement shown when nobody has chosen
const REFRESH = 60_000 // ms

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
    this.legend = legend
    this.map = L.map(element, { preferCanvas: true, minZoom: 2, maxZoom: 18, worldCopyJump: true, attributionControl: false })
    this.points = L.layerGroup().addTo(this.map)
    this.ring = L.circleMarker([0, 0], { radius: 13, weight: 3, fill: false, interactive: false })
    const { view } = read()
    const [lat, lng, zoom] = (view.get('at') ?? '').split(',').map(Number)
    this.map.setView(Number.isFinite(zoom) ? [lat, lng] : [25, 10], Number.isFinite(zoom) ? zoom : 2)
    this.measurement = Number(view.get('m')) || TEMPERATURE
    this.onlineOnly = view.get('online') === '1'
    this.map.on('moveend', () => this.moved())
  }

  async start() {
    this.ground()
    const measurements = await get('measurements', { per_page: 1000 })
    this.names = new Map(measurements.map((measurement) => [measurement.id, measurement.name]))
    await this.load()
    setInterval(() => document.hidden || attempt(() => this.load()), REFRESH)
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
    const renderer = L.svg({ pane: 'ground' })
    const style = { className: 'land', weight: 0.7, fillOpacity: 1 }
    const countries = topojson.feature(atlas, atlas.objects.countries)
    for (const { geometry } of countries.features) unwrap(geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates)
    L.geoJSON(countries, { pane: 'ground', renderer, style, interactive: false }).addTo(this.map)
  }

  /** Reads the newest values, and the devices in view. */
  async load() {
    const { values } = await get(`measurements/${this.measurement}/latest`)
    this.latest = new Map(values.reverse().map((row) => [row.device_id, row])) // oldest first: the newest stays
    await this.look()
  }

  /** Reads the devices in view: where many share a place, one point for all of them. */
  async look() {
    this.waiting?.abort()
    this.waiting = new AbortController()
    const [west, south, east, north] = this.map.getBounds().pad(0.2).toBBoxString().split(',').map(Number)
    const [left, right] = east - west >= 360 ? [-180, 180] : [wrap(west), wrap(east)]
    const bbox = [left, Math.max(south, -90), right, Math.min(north, 90)].map((degrees) => degrees.toFixed(4)).join()
    const { features } = await get('devices/map.geojson', { bbox, zoom: this.map.getZoom() }, { signal: this.waiting.signal })
    this.features = features
    this.draw()
  }

  draw() {
    const shown = this.features.filter(({ properties }) => !this.onlineOnly || properties.online)
    this.scale = extent([...this.latest.values()].map((row) => row.value))
    this.points.clearLayers()
    for (const feature of shown) (feature.properties.count ? this.cluster(feature) : this.device(feature)).addTo(this.points)
    this.explain(shown.reduce((sum, { properties }) => sum + (properties.count ?? 1), 0))
  }

  device({ id, geometry, properties }) {
    const row = this.latest.get(id)
    return L.circleMarker(this.near(geometry), {
      radius: row ? 7 : 4,
      color: properties.online ? '#15803d' : '#5b6472',
      weight: properties.online ? 2 : 1,
      fillColor: row && this.scale ? colour(row.value, this.scale) : UNKNOWN,
      fillOpacity: 0.95,
    })
      .bindTooltip(() => {
        const value = row ? `${number(row.value)} ${row.unit ?? ''} · ${age(row.recorded_at)}` : ''
        return h('div', {}, h('strong', {}, properties.name), h('br'), value)
      })
      .on('click', () => (location.hash = deviceAddress(id)))
  }

  cluster({ geometry, properties }) {
    const size = 22 + 6 * Math.log10(properties.count)
    const icon = L.divIcon({ className: 'cluster', html: h('span', {}, properties.count.toLocaleString()), iconSize: [size, size] })
    const place = this.near(geometry)
    return L.marker(place, { icon, title: strings.devices(properties.count) }).on('click', () => this.map.setView(place, this.map.getZoom() + 2))
  }

  /** The place of a point on the copy of the world that is in view. */
  near({ coordinates: [longitude, latitude] }) {
    const turns = Math.round((this.map.getCenter().lng - longitude) / 360)
    return [latitude, longitude + 360 * turns]
  }

  explain(count) {
    const choices = [...this.names].sort((a, b) => a[1].localeCompare(b[1]))
    const options = choices.map(([id, name]) => h('option', { value: String(id), selected: id === this.measurement }, name))
    const choose = h('select', { 'aria-label': strings.colourBy, onchange: (event) => this.set({ measurement: Number(event.target.value) }) }, ...options)
    const online = h('input', { type: 'checkbox', checked: this.onlineOnly, onchange: (event) => this.set({ onlineOnly: event.target.checked }) })
    const bar = h('div', { class: 'scale' })
    bar.style.background = gradient
    const unit = this.latest.values().next().value?.unit ?? ''
    const ends = this.scale ? this.scale.map((end) => h('span', {}, `${number(end)} ${unit}`)) : []
    this.legend.replaceChildren(
      h('label', {}, `${strings.colourBy} `, choose),
      this.scale ? bar : null,
      h('div', { class: 'ends' }, ...ends),
      h('label', {}, online, ` ${strings.online}`),
      h('small', {}, count ? strings.devicesHere(count) : strings.nothingHere),
    )
  }

  set(changes) {
    Object.assign(this, changes)
    change({ m: this.measurement === TEMPERATURE ? null : this.measurement, online: this.onlineOnly ? '1' : null })
    attempt(() => ('measurement' in changes ? this.load() : this.draw()))
  }

  moved() {
    attempt(() => this.features && this.look())
    if (read().device !== null) return // the address is the device's
    const { lat, lng } = this.map.getCenter()
    change({ at: `${lat.toFixed(3)},${lng.toFixed(3)},${this.map.getZoom()}` })
  }

  /** Puts a ring round the device that is looked at. */
  mark({ latitude, longitude } = {}) {
    if (latitude === undefined) return this.ring.remove()
    this.ring.setLatLng([latitude, longitude]).addTo(this.map)
    this.map.setView([latitude, longitude], Math.max(this.map.getZoom(), 6), { animate: false })
  }

  fly({ latitude, longitude }) {
    this.map.setView([latitude, longitude], 11)
  }

  resize() {
    this.map.invalidateSize()
  }
}
