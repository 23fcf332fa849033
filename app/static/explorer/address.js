// Everything seen has an address: #/ or #/devices/7, with what is shown as parameters.

/** {device: number or null, view: URLSearchParams} of the address bar. */
export function read() {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?')
  const found = /^\/devices\/(\d+)$/.exec(path)
  return { device: found ? Number(found[1]) : null, view: new URLSearchParams(query) }
}

export const deviceAddress = (id) => `#/devices/${id}`

/** Changes parameters of the address without a step in the browser's history; null takes one out. */
export function change(parameters) {
  const { view } = read()
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === '') view.delete(name)
    else view.set(name, value)
  }
  const path = location.hash.replace(/^#/, '').split('?')[0] || '/'
  history.replaceState(null, '', `#${path}${view.size ? `?${view}` : ''}`)
}
