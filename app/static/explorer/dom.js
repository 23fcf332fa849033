// Elements without a framework.

/** An element: h('button', {onclick: f, class: 'x'}, 'text', child, …). */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key in element && typeof value !== 'string') element[key] = value
    else element.setAttribute(key, value)
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

let fading

/** Shows a sentence for some seconds. */
export function toast(text) {
  const box = document.getElementById('toast')
  box.textContent = text
  box.hidden = false
  clearTimeout(fading)
  fading = setTimeout(() => (box.hidden = true), 6000)
}

/** Runs a task; shows what went wrong, unless it was only overtaken by a newer one. */
export async function attempt(task) {
  try {
    return await task()
  } catch (error) {
    if (error.name !== 'AbortError') toast(error.message)
    return null
  }
}
