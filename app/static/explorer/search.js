// The search box: devices, tags, people and cities, as one types.

import { deviceAddress } from './address.js'
import { get } from './api.js'
import { attempt, h } from './dom.js'
import { strings } from './strings.js'

const PAUSE = 250 // ms without a key before we ask

/** Lists what is found: a device opens its page, `fly` goes to a place, `filter` shows a tag's devices, a person's are listed. */
export function startSearch(form, { fly, filter }) {
  const [input, list] = [form.elements.q, form.querySelector('ul')]
  const said = form.appendChild(h('p', { class: 'unseen', role: 'status' })) // who does not see the list hears how long it is
  let waiting
  let pause
  input.placeholder = strings.search

  function close() {
    list.hidden = true
  }

  function open(items) {
    said.textContent = strings.found(items.filter((each) => each.querySelector('button')).length)
    list.replaceChildren(...items)
    list.hidden = false
  }

  function item(hit) {
    const place = hit.type === 'City' ? [] : [hit.city, hit.country]
    const about = [strings.hits[hit.type], ...place].filter(Boolean).join(', ')
    const choose = () => {
      if (hit.type === 'User') return attempt(() => ofPerson(hit))
      close()
      if (hit.type === 'Device') location.hash = deviceAddress(hit.id)
      else if (hit.type === 'Tag') filter(hit.name)
      else fly(hit)
    }
    return h('li', {}, h('button', { type: 'button', onclick: choose }, hit.name ?? hit.username, h('small', {}, ` ${about}`)))
  }

  async function ofPerson({ id, username }) {
    const devices = await get('devices', { 'q[owner_id_eq]': id, per_page: 20 })
    const hits = devices.map(({ id, name, location }) => item({ type: 'Device', id, name, city: location?.city }))
    open(hits.length ? hits : [h('li', { class: 'note' }, strings.noDevicesOf(username))])
    list.querySelector('button')?.focus()
  }

  async function ask() {
    waiting?.abort()
    const words = input.value.trim()
    if (!words) return close()
    waiting = new AbortController()
    const hits = await attempt(() => get('search', { q: words, per_page: 20 }, { signal: waiting.signal }))
    if (hits) open(hits.length ? hits.map(item) : [h('li', { class: 'note' }, strings.noHits(words))])
  }

  input.addEventListener('input', () => {
    clearTimeout(pause)
    pause = setTimeout(ask, PAUSE)
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    ask()
  })
  form.addEventListener('keydown', (event) => {
    const buttons = [...list.querySelectorAll('button')]
    const place = buttons.indexOf(document.activeElement)
    if (event.key === 'Escape') close()
    else if (event.key === 'ArrowDown' && buttons.length) buttons[Math.min(place + 1, buttons.length - 1)].focus()
    else if (event.key === 'ArrowUp' && place >= 0) (buttons[place - 1] ?? input).focus()
    else return
    event.preventDefault()
  })
  document.addEventListener('click', (event) => form.contains(event.target) || close())
}
