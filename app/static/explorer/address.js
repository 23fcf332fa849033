// Everything seen has an address: #/, #/devices/7, #/quarantine …, with what is shown as parameters.

/** {parts: ['devices', '7'], device: 7 or null, view: URLSearchParams} of the address bar. */
export function read() {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?')
  const parts = path.split('/').filter(Boolean)
  const device = parts[0] === 'devices' && /^\d+$/.test(parts[1] ?? '') ? Number(parts[1]) : null
  return { parts, device, view: new URLSearchParams(query) }
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
