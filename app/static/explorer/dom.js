// Elements without a framework.

import { strings } from './strings.js'

/** An element: h('button', {onclick: f, class: 'x'}, 'text', child, …); attributes and children that are null or false are left out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || (value === false && !(key in element))) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key in element && typeof value !== 'string') element[key] = value
    else element.setAttribute(key, value)
  }
  return fill(element, ...children)
}

/** Puts children, in lists or not, in the place of what an element holds; null and false are none. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

/** Lets an element hold these children: those that it holds already stay, with the focus in them. */
export function keep(element, children) {
  for (const old of [...element.children]) if (!children.includes(old)) old.remove()
  children.forEach((child, place) => child === element.children[place] || element.insertBefore(child, element.children[place] ?? null))
}

let fading

/** Shows a sentence for some seconds: `bad` where something went wrong. */
export function toast(text, { bad = false } = {}) {
  const box = document.getElementById('toast')
  box.textContent = text
  box.classList.toggle('bad', bad)
  box.hidden = false
  clearTimeout(fading)
  fading = setTimeout(() => (box.hidden = true), bad ? 10_000 : 5000)
}

/** Runs a task; shows what went wrong, unless it was only overtaken by a newer one. */
export async function attempt(task) {
  try {
    return await task()
  } catch (error) {
    if (error.name !== 'AbortError') toast(error.message, { bad: true })
    return null
  }
}

const FAILED_PAUSE = 10_000 // ms until what has failed is looked at again

/** Looks every `pause` ms while `look` does not answer false, also after it has failed; returns what ends it. */
export function watch(look, pause) {
  let timer
  let ended = false
  const wait = (ms) => (timer = setTimeout(again, ms))
  const again = async () => {
    const goesOn = await attempt(look)
    if (!ended && goesOn !== false) wait(goesOn === null ? FAILED_PAUSE : pause)
  }
  wait(pause)
  return () => {
    ended = true
    clearTimeout(timer)
  }
}

/** Puts a text where one can paste it; a page without TLS may not. */
export const copy = (text, done) =>
  attempt(async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      throw new Error(strings.notCopied)
    }
    toast(done)
  })
