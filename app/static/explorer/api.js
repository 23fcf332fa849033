// The public API, as /docs shows it.

import { strings } from './strings.js'

/** The JSON of a path below /v0, or an Error whose message a person can read. */
export async function get(path, parameters = {}, { signal, accept = 'application/json' } = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined))
  const separator = query.size ? '?' : ''
  let answer
  try {
    answer = await fetch(`/v0/${path}${separator}${query}`, { signal, headers: { Accept: accept } })
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Error(strings.network)
  }
  const body = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Error(body.message ?? `${answer.status} ${answer.statusText}`)
  return body
}
