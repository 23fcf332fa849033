// The public API, as /docs shows it, called in the name of whoever has signed in.

import { credentials, renew } from './session.js'
import { strings } from './strings.js'

/** What the API refused: its message is a sentence, `fields` the reasons by field, `status` HTTP's. */
class Refusal extends Error {
  constructor(status, body, fallback) {
    super(body.message ?? fallback)
    this.status = status
    this.fields = body.errors && typeof body.errors === 'object' ? body.errors : {}
  }
}

/** What a path below /v0 answers, or an error whose message a person can read. */
async function answerOf(method, path, { parameters = {}, body, signal } = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== ''))
  const url = `/v0/${path}${query.size ? '?' : ''}${query}`
  const ask = async () => {
    const about = { Accept: 'application/json', ...(await credentials()) }
    if (body !== undefined) about['Content-Type'] = 'application/json'
    return fetch(url, { method, signal, headers: about, body: body === undefined ? undefined : JSON.stringify(body) })
  }
  let answer
  try {
    answer = await ask()
    if (answer.status === 401 && (await renew())) answer = await ask()
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Error(strings.network)
  }
  if (answer.ok) return answer
  throw new Refusal(answer.status, (await answer.json().catch(() => null)) ?? {}, `${answer.status} ${answer.statusText}`)
}

/** The JSON of a path below /v0; null for an empty answer. */
export async function call(method, path, options = {}) {
  const answer = await answerOf(method, path, options)
  return answer.status === 204 ? null : answer.json()
}

/** {rows, total}: a page of a list, and how many there are in all. */
export async function list(path, parameters) {
  const answer = await answerOf('GET', path, { parameters })
  return { rows: await answer.json(), total: Number(answer.headers.get('Total')) }
}

export const get = (path, parameters, options) => call('GET', path, { parameters, ...options })
export const post = (path, body = {}) => call('POST', path, { body })
export const patch = (path, body) => call('PATCH', path, { body })
export const remove = (path) => call('DELETE', path)
