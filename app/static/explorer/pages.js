// Long lists, a page at a time.

import { list } from './api.js'
import { h } from './dom.js'
import { button } from './forms.js'
import { strings } from './strings.js'

/** {rows, total, turner}: a page of a list, and the buttons that `turn(page)` to its neighbours (null where there is one page). */
export async function pages(path, parameters) {
  const { page = 1, per_page } = parameters
  const { rows, total } = await list(path, parameters)
  const last = Math.max(1, Math.ceil(total / per_page))
  const turner = (turn) => {
    if (last === 1) return null
    const step = (label, to) => button(label, () => turn(to), { disabled: to < 1 || to > last })
    return h('div', { class: 'buttons' }, step(strings.previous, page - 1), h('span', { class: 'note' }, strings.page(page, last)), step(strings.next, page + 1))
  }
  return { rows, total, turner }
}
