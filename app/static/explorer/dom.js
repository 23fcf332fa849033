// Elements without a framework.

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

/** Puts a text where one can paste it. */
export async function copy(text, done) {
  await attempt(async () => {
    await navigator.clipboard.writeText(text)
    toast(done)
  })
}
