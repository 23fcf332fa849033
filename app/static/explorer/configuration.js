// What a device is told to do, what it says that it does, and where the two differ.

import { deviceFrame } from './device_frame.js'
import { call, get } from './api.js'
import { fill, h, toast, watch } from './dom.js'
import { check, field, form, table, when } from './forms.js'
import { strings } from './strings.js'

const words = strings.configurationPage
const EVERY = 3000 // ms between two looks at what the device says

export async function show(panel, { device: id }) {
  const frame = await deviceFrame(panel, id, words)
  if (!frame) return
  const page = new Configuration(frame)
  await page.look()
  return { end: () => page.end() }
}

class Configuration {
  constructor({ content, device }) {
    this.device = device
    this.state = h('div', { class: 'card', role: 'status' })
    this.asked = h('div', { class: 'card' })
    fill(content, this.state, this.asked)
  }

  /** Shows how it stands, and goes on while the device has not answered. */
  async look() {
    this.unwatch?.()
    const goesOn = await this.read()
    if (!this.asked.hasChildNodes()) this.ask(this.desired)
    if (goesOn && !this.ended) this.unwatch = watch(() => this.read(), EVERY)
  }

  /** Shows how it stands by now; whether the device has not answered. */
  async read() {
    const config = await get(`devices/${this.device.id}/config`)
    this.desired = config.desired
    const said = JSON.stringify(config)
    if (said !== this.said) this.tell(config) // a screen reader need not hear the same again
    this.said = said
    return config.difference !== null
  }

  tell({ desired, reported, difference }) {
    const about = desired === null ? words.nothing : difference === null ? words.does : reported?.error && reported.version === desired.version ? words.refused(reported.error) : words.waiting
    const cells = Object.entries(difference?.fields ?? {}).map(([name, { desired: wished, reported: said }]) => [name, code(wished), code(said)])
    const versions = [desired && h('span', {}, words.asked(desired.version), when(desired.time)), reported && h('span', {}, words.said(reported.version), when(reported.time))]
    fill(
      this.state,
      h('h3', { class: difference && !reported?.error ? 'waiting' : null }, about),
      h('p', { class: 'note' }, versions.filter(Boolean).flatMap((part) => [part, h('br')])),
      cells.length ? table([words.field, words.desired, words.reported], cells) : null,
    )
  }

  ask(desired) {
    const { sensors } = this.device.data
    const components = desired?.components ?? {}
    const keys = [...new Set([...sensors.map(({ default_key: key }) => key).filter(Boolean), ...Object.keys(components)])]
    const interval = (name, value, label = null) => h('input', { name, type: 'number', min: '0', step: 'any', value: value ?? '', 'aria-label': label })
    const rows = keys.map((key) => [
      h('code', {}, key),
      check(words.enabled, { name: `enabled ${key}`, checked: components[key]?.enabled ?? true }),
      interval(`interval ${key}`, components[key]?.interval, words.everyOf(key)),
    ])
    const save = async (values, element) => {
      const told = Object.fromEntries(keys.map((key) => [key, { enabled: `enabled ${key}` in values, interval: seconds(values[`interval ${key}`]) }]))
      const changed = Object.fromEntries(Object.entries(told).filter(([key, part]) => key in components || !part.enabled || part.interval !== null))
      await call('PUT', `devices/${this.device.id}/config`, { body: { publish_interval: seconds(values.publish_interval), components: changed, settings: settingsOf(element) } })
      toast(words.sent)
      await this.look()
    }
    fill(
      this.asked,
      h('h3', {}, words.tell),
      form(
        { submit: words.send, onSubmit: save },
        field(words.interval, interval('publish_interval', desired?.publish_interval), words.intervalHint),
        rows.length ? h('details', {}, h('summary', {}, words.components), table([words.key, words.reads, words.every], rows)) : null,
        field(words.settings, h('textarea', { name: 'settings', rows: '4', class: 'code', spellcheck: false }, JSON.stringify(desired?.settings ?? {}, null, 2)), words.settingsHint),
      ),
    )
  }

  end() {
    this.ended = true
    this.unwatch?.()
  }
}

const code = (value) => h('code', {}, value === null ? '–' : JSON.stringify(value))
const seconds = (text) => (text === '' ? null : Number(text))

function settingsOf(form) {
  try {
    return JSON.parse(form.elements.settings.value || '{}')
  } catch (error) {
    throw Object.assign(new Error(words.noJson), { fields: { settings: [`${words.noJson} ${error.message}`] } })
  }
}
