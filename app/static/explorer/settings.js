// A device's settings: what it is called and where it is, who sees it, its tokens, and how one parts with it.

import { deviceFrame } from './device_frame.js'
import { get, patch, post, remove } from './api.js'
import { fill, h, toast } from './dom.js'
import { button, careful, check, field, form, secret, select, table, when } from './forms.js'
import { strings } from './strings.js'

const words = strings.settingsPage

export async function show(panel, { device: id }) {
  const frame = await deviceFrame(panel, id, words)
  if (!frame) return
  const { content, device } = frame
  const card = (title, ...parts) => h('div', { class: 'card' }, h('h3', {}, title), parts)
  const tokens = h('div')
  const tags = (await get('tags', { per_page: 100 })).map(({ name }) => name)
  fill(content, card(words.about, describing(device, tags)), card(words.tokens, h('p', { class: 'note' }, words.tokensAbout), tokens), card(words.part, parting(device)))
  await showTokens(id, tokens)
}

function describing(device, tags) {
  const { location, data_policy: policy } = device
  const text = (name, value) => h('input', { name, value: value ?? '' })
  return form(
    {
      submit: words.save,
      onSubmit: async (values) => {
        const place = Object.fromEntries(['latitude', 'longitude', 'elevation'].map((name) => [name, values[name].trim() === '' ? null : Number(values[name])]))
        const { name, description, user_tags } = values
        await patch(`devices/${device.id}`, {
          ...{ name, description, user_tags, exposure: values.exposure || null, ...place },
          ...{ precise_location: 'precise_location' in values, is_private: 'is_private' in values },
        })
        toast(words.saved)
      },
    },
    field(words.name, text('name', device.name)),
    field(words.description, h('textarea', { name: 'description', rows: '3' }, device.description ?? '')),
    field(words.tags, text('user_tags', device.user_tags.join(', ')), words.tagsHint(tags)),
    field(words.exposure, select({ name: 'exposure' }, strings.registerPage.exposures, location.exposure)),
    h('div', { class: 'row' }, field(words.latitude, text('latitude', location.latitude)), field(words.longitude, text('longitude', location.longitude)), field(words.elevation, text('elevation', location.elevation))),
    check(strings.registerPage.precise, { name: 'precise_location', checked: policy.precise_location }),
    check(strings.registerPage.private, { name: 'is_private', checked: policy.is_private }),
  )
}

async function showTokens(id, place) {
  const made = h('div')
  const list = h('div')
  const look = async () => {
    const tokens = await get(`devices/${id}/tokens`)
    const revoke = (token) => async () => (await remove(`devices/${id}/tokens/${token.id}`), await look())
    const rows = tokens.map((token) => [`#${token.id}`, when(token.created_at), when(token.last_used_at), token.expires_at ? when(token.expires_at) : words.never, h('td', { class: 'actions' }, careful(words.revoke, words.reallyRevoke, revoke(token)))])
    fill(list, rows.length ? table([words.token, words.since, words.used, words.expires, ''], rows) : h('p', {}, words.noTokens))
  }
  const make = async () => {
    const { device_token: token } = await post(`devices/${id}/tokens`)
    fill(made, h('p', {}, words.once), secret(token))
    await look()
  }
  fill(place, list, h('div', { class: 'buttons' }, button(words.make, make)), made)
  await look()
}

function parting(device) {
  const given = h('div')
  const transfer = async () => {
    const offer = await post(`devices/${device.id}/transfer`)
    fill(given, h('p', {}, words.offered, when(offer.expires_at)), secret(offer.transfer_token))
  }
  const archive = async () => {
    await remove(`devices/${device.id}`)
    toast(words.archived)
    location.hash = '#/mine'
  }
  return [
    h('p', { class: 'note' }, words.partAbout),
    h('div', { class: 'buttons' }, button(words.transfer, transfer), careful(words.archive, words.reallyArchive, archive)),
    given,
  ]
}
