// The search box: devices, tags, people and cities, as one types.

import { deviceAddress } from './address.js'
import { get } from './api.js'
import { attempt, h } from './dom.js'
import { strings } from './strings.js'

const PAUSE = 250 // ms without a key before we ask

/** Lists what is found; a device opens its page, a place is flown to by `fly({latitude, longitude})`. */
export function startSearch(form, fly) {
  const [input, list] = [form.elements.q, form.querySelector('ul')]
  let waiting
  let pause
  input.placeholder = strings.search

  function close() {
    list.hidden = true
    input.setAttribute('aria-expanded', 'false')
  }

  function open(items) {
    list.replaceChildren(...items)
    list.hidden = false
    input.setAttribute('aria-expanded', 'true')
  }

  function item(hit) {
    const about = [hit.type, hit.city, hit.country].filter(Boolean).join(', ')
    const name = hit.name ?? hit.username ?? hit.city
    const choose = () => {
      close()
      if (hit.type === 'Device') location.hash = deviceAddress(hit.id)
      else if (hit.latitude) fly(hit)
      else {
        input.value = name
        ask()
      }
    }
    return h('li', { role: 'option' }, h('button', { type: 'button', onclick: choose }, name, h('small', {}, ` ${about}`)))
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
