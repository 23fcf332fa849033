// Register a device from a blueprint in three steps: choose it, describe the device, give it its token and see it speak.

import { account } from './account.js'
import { deviceAddress } from './address.js'
import { get, post } from './api.js'
import { attempt, copy, fill, h } from './dom.js'
import { age, number } from './format.js'
import { button, check, field, form, secret, select } from './forms.js'
import { listen } from './live.js'
import { SNIPPETS } from './snippets.js'
import { strings } from './strings.js'

const words = strings.registerPage

export async function show(panel) {
  const frame = await account(panel, words)
  if (!frame) return
  const wizard = new Wizard(frame.content)
  await wizard.choose()
  return { end: () => wizard.end() }
}

class Wizard {
  constructor(place) {
    this.place = place
    this.kit = null
    this.described = {}
  }

  step(number, ...parts) {
    const steps = words.steps.map((name, place) => h('li', { 'aria-current': place === number ? 'step' : null }, name))
    fill(this.place, h('ol', { class: 'steps' }, steps), ...parts)
    this.place.querySelector('h3')?.focus()
  }

  async choose() {
    this.kits ??= await get('kits', { per_page: 1000 })
    const radio = (kit, name, about) =>
      h('label', {}, h('input', { type: 'radio', name: 'kit', value: String(kit?.id ?? ''), checked: (this.kit?.id ?? null) === (kit?.id ?? null) }), h('strong', {}, name), h('br'), h('small', {}, about))
    const cards = this.kits.map((kit) => radio(kit, kit.name, words.sensors(kit.components.length)))
    const narrow = h('input', {
      type: 'search',
      placeholder: words.searchKits,
      'aria-label': words.searchKits,
      oninput: ({ target }) => cards.forEach((card) => (card.hidden = !card.textContent.toLowerCase().includes(target.value.toLowerCase()))),
    })
    const chooser = form(
      {
        submit: words.next,
        onSubmit: ({ kit }) => {
          this.kit = this.kits.find(({ id }) => id === Number(kit)) ?? null
          this.describe()
        },
      },
      narrow,
      h('div', { class: 'choices', role: 'radiogroup', 'aria-label': words.steps[0] }, radio(null, words.noKit, words.noKitAbout), cards),
    )
    this.step(0, h('div', { class: 'card' }, h('h3', { tabindex: '-1' }, words.chooseTitle), chooser))
  }

  describe() {
    const { described } = this
    const latitude = h('input', { name: 'latitude', inputmode: 'decimal', value: described.latitude ?? '' })
    const longitude = h('input', { name: 'longitude', inputmode: 'decimal', value: described.longitude ?? '' })
    const here = button(words.here, () => locate(latitude, longitude))
    const back = button(words.back, () => this.choose())
    const describing = form(
      {
        submit: words.register,
        buttons: [back],
        onSubmit: async (values) => {
          this.described = values
          const { name, exposure, description } = values
          const place = { latitude: degrees(values.latitude), longitude: degrees(values.longitude) }
          const device = await post('devices', {
            ...{ name, description, ...place, kit_id: this.kit?.id ?? null },
            ...{ exposure: exposure || null, precise_location: 'precise_location' in values, is_private: 'is_private' in values },
          })
          this.connect(device)
        },
      },
      field(words.name, h('input', { name: 'name', required: true, value: described.name ?? '' }), words.nameHint),
      field(words.description, h('textarea', { name: 'description', rows: '2' }, described.description ?? '')),
      field(words.exposure, select({ name: 'exposure' }, words.exposures, described.exposure)),
      h('div', { class: 'row' }, field(words.latitude, latitude, words.degreesHint), field(words.longitude, longitude)),
      h('div', { class: 'buttons' }, here),
      check(words.precise, { name: 'precise_location', checked: true }),
      check(words.private, { name: 'is_private' }),
    )
    this.step(1, h('div', { class: 'card' }, h('h3', { tabindex: '-1' }, words.describeTitle(this.kit?.name)), describing))
  }

  connect(device) {
    const token = device.device_token
    const sensors = device.data.sensors.map(({ id }) => id)
    const code = h('code')
    const say = (kind) => (code.textContent = SNIPPETS[kind].write({ token, sensors, broker: broker() }))
    const kinds = Object.entries(SNIPPETS).map(([kind, { name }]) => [kind, name])
    const kind = select({ onchange: ({ target }) => say(target.value), 'aria-label': words.language }, kinds)
    say(kinds[0][0])
    const copying = button(words.copySnippet, () => copy(code.textContent, strings.copied))
    this.first = h('div', { class: 'card', role: 'status' }, h('h3', { class: 'waiting' }, words.waiting), h('p', { class: 'note' }, words.waitingAbout))
    this.step(
      2,
      h('div', { class: 'card' }, h('h3', { tabindex: '-1' }, words.tokenTitle(device.name)), h('p', {}, words.tokenAbout), secret(token)),
      h('div', { class: 'card' }, h('h3', {}, words.snippetTitle), h('div', { class: 'buttons' }, kind, copying), h('pre', { tabindex: '0' }, code)),
      this.first,
    )
    this.listen(device.id)
  }

  /** Waits until the device has spoken. */
  listen(id) {
    const look = () => attempt(() => this.look(id))
    this.deaf = listen(id, { open: look, readings: look, reset: look }) // it may have spoken before, or during a break
  }

  async look(id) {
    const device = await get(`devices/${id}`)
    if (!device.last_reading_at) return
    this.end()
    const values = device.data.sensors.filter((sensor) => sensor.value !== null)
    this.first.classList.add('arrived')
    fill(
      this.first,
      h('h3', {}, words.arrived),
      h('p', {}, words.arrivedAbout(age(device.last_reading_at))),
      h('ul', {}, values.slice(0, 5).map(({ name, value, unit }) => h('li', {}, `${name}: ${number(value)} ${unit ?? ''}`))),
      h('a', { class: 'button main', href: deviceAddress(id) }, words.open),
    )
  }

  end() {
    this.deaf?.()
  }
}

/** A number, null for nothing; what is no number goes to the API as it is, which says so. */
function degrees(text) {
  const value = text.trim().replace(',', '.')
  return value === '' ? null : Number.isFinite(Number(value)) ? Number(value) : value
}

async function locate(latitude, longitude) {
  const { coords } = await new Promise((found, failed) => navigator.geolocation.getCurrentPosition(found, () => failed(new Error(words.notLocated)), { timeout: 30_000 }))
  latitude.value = coords.latitude.toFixed(5)
  longitude.value = coords.longitude.toFixed(5)
}

/** Where devices log in; if the platform does not say, its own host by TLS. */
const broker = () => new URL(document.querySelector('meta[name=broker]').content || `mqtts://${location.hostname}:8883`)
