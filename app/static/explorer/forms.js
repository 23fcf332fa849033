// What pages are made of: fields with their hints and reasons, forms, tables, empty states.

import { attempt, copy, h, toast } from './dom.js'
import { age } from './format.js'
import { strings } from './strings.js'

let numbers = 0

/** An input with its label and, below it, what helps to fill it in. */
export function field(label, input, hint = '') {
  input.id ||= `field-${++numbers}`
  const about = hint ? h('span', { class: 'hint', id: `${input.id}-hint` }, hint) : null
  if (about) input.setAttribute('aria-describedby', about.id)
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, about)
}

export const check = (label, attributes) => h('label', { class: 'check' }, h('input', { type: 'checkbox', ...attributes }), h('span', {}, label))

export const select = (attributes, rows, chosen) =>
  h('select', attributes, rows.map(([value, name]) => h('option', { value: String(value ?? ''), selected: String(value ?? '') === String(chosen ?? '') }, name)))

/** Shows the API's reasons beside the fields that they are about; what is about none goes to the toast. */
function explain(form, error) {
  for (const old of form.querySelectorAll('.reason')) old.remove()
  for (const input of form.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid')
  let first = null
  for (const [name, reasons] of Object.entries(error?.fields ?? {})) {
    const input = form.elements.namedItem(name)
    if (!input?.closest) continue
    input.setAttribute('aria-invalid', 'true')
    input.closest('.field')?.append(h('p', { class: 'reason' }, [reasons].flat().join(' ')))
    first ??= input
  }
  first?.focus()
  if (error && !first) toast(error.message, { bad: true })
}

/** A form; `onSubmit(values, form)` may throw what the API refused. Of several buttons that submit, the values name the one that did. */
export function form({ submit, onSubmit, buttons = [], attributes = {} }, ...fields) {
  const send = h('button', { type: 'submit', class: 'main' }, submit)
  const element = h('form', { class: 'fields', novalidate: '', ...attributes }, fields, h('div', { class: 'buttons' }, send, buttons))
  let busy = false
  element.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (busy) return
    busy = true
    try {
      explain(element, null)
      await onSubmit(Object.fromEntries(new FormData(element, event.submitter)), element)
    } catch (error) {
      explain(element, error)
    } finally {
      busy = false
    }
  })
  return element
}

/** A table that scrolls by itself where it is too wide; `rows` are lists of cells, or of children of cells. */
export function table(head, rows) {
  const cells = (row) => row.map((cell, place) => (cell instanceof HTMLTableCellElement ? cell : h(place ? 'td' : 'th', place ? {} : { scope: 'row' }, cell)))
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': head[0] },
    h('table', {}, h('thead', {}, h('tr', {}, head.map((text) => h('th', { scope: 'col' }, text)))), h('tbody', {}, rows.map((row) => h('tr', {}, cells(row))))),
  )
}

/** What a page shows where there is nothing yet: what would be here, and how it gets here. */
export const empty = (title, text, action = null) => h('div', { class: 'empty' }, h('h3', {}, title), h('p', {}, text), action)

/** A figure with what it counts; a link where there is more to see. `mood`: 'good', 'bad' or ''. */
export const tile = (figure, label, mood = '', href = null) => h(href ? 'a' : 'div', { class: `tile ${mood}`, href }, h('strong', {}, figure.toLocaleString()), h('span', {}, label))

/** A secret that is shown this once, to be copied. */
export const secret = (text) =>
  h('div', { class: 'secret' }, h('code', {}, text), button(strings.copy, () => copy(text, strings.copied)))

/** A button that does a task, once at a time, and shows what went wrong. */
export function button(label, task, attributes = {}) {
  let busy = false
  const act = async () => {
    if (busy) return
    busy = true
    await attempt(task)
    busy = false
  }
  return h('button', { type: 'button', ...attributes, onclick: act }, label)
}

/** A button that asks again before it does what cannot be undone. */
export function careful(label, really, task) {
  let sure = false
  const ask = () => {
    if (sure) return task()
    sure = true
    element.textContent = really
    setTimeout(() => {
      sure = false
      element.textContent = label
    }, 4000)
  }
  const element = button(label, ask, { class: 'danger' })
  return element
}

const local = (time) => new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** Local date and time of an ISO time, or a dash. */
export const when = (time) => (time ? h('time', { datetime: time }, local(time)) : '–')

/** How long ago an ISO time was, which goes on counting. */
export const ago = (time) => h('time', { class: 'age', datetime: time, title: local(time) }, age(time))
