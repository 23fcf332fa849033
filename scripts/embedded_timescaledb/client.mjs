// One client's session, which owns the engine from the first message of a cycle until ReadyForQuery says idle.

import { setImmediate as turn } from 'node:timers/promises'

import { abandon, acquire, exec, frame, release, typeOf } from './engine.mjs'

const IDLE_LIMIT = 60_000 // ms an owner may keep silent: all others wait, so a forgotten BEGIN must end

// https://www.postgresql.org/docs/17/protocol-message-formats.html
const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const LONGEST_STARTUP = 10_000 // bytes, PostgreSQL's own limit; the first bytes of HTTP read as 1.2 GB
const REQUESTS = 'BCDEFHPQS'
const FLUSH = 'H'
const ENDS_CYCLE = 'FQS' // their reply's last six bytes are ReadyForQuery
const LEFT_OF_A_COPY = 'cdf' // without an answer; outside a COPY PostgreSQL ignores them too
const IDLE = 'I'.charCodeAt(0)

const COPY_REFUSAL =
  'DO $$BEGIN RAISE feature_not_supported USING ' +
  "MESSAGE = 'COPY FROM STDIN is not available in the embedded TimescaleDB', " +
  "HINT = 'Use INSERT ... SELECT ... FROM unnest(...), or a server of your own (DATABASE_URL).'; END$$"
// E'', '', "" and $$ strings, both kinds of comments.
const QUOTED = /\be'(?:[^'\\]|\\[^]|'')*'|'[^']*'|"[^"]*"|\$([a-z_]\w*|)\$[^]*?\$\1\$|--.*|\/\*[^]*?\*\//gi

/** An ErrorResponse after which the connection ends. */
export const fatal = (code, text) => frame('E', `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`)

/** Reads a socket in pieces of the sizes asked for, and no faster; null once the client has gone. */
function reader(socket) {
  const chunks = socket[Symbol.asyncIterator]()
  let parts = []
  let size = 0
  return async (wanted) => {
    while (size < wanted) {
      const { value, done } = await chunks.next()
      if (done) return null
      parts.push(value)
      size += value.length
    }
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    parts = [bytes.subarray(wanted)]
    size -= wanted
    return bytes.subarray(0, wanted)
  }
}

/** Whether a session begins: not if it only asks to cancel, for a running statement cannot be interrupted. */
async function startsUp(read, socket) {
  for (;;) {
    const header = await read(8)
    const length = header?.readInt32BE(0)
    const code = header?.readInt32BE(4)
    if (!(length >= 8 && length <= LONGEST_STARTUP) || !(await read(length - 8))) return false
    if (code !== SSL_REQUEST && code !== GSS_REQUEST) return code >>> 16 === 3 // protocol version 3
    socket.write('N')
  }
}

/** The next message for the engine; null when the client leaves, or says what would break the engine down. */
async function nextRequest(read) {
  for (;;) {
    const header = await read(5)
    const length = header?.readInt32BE(1)
    const body = length >= 4 ? await read(length - 4) : null
    if (body && LEFT_OF_A_COPY.includes(typeOf(header))) continue
    return body && REQUESTS.includes(typeOf(header)) ? Buffer.concat([header, body]) : null
  }
}

/** The message, or in place of a COPY FROM STDIN, which would break the engine down, one that fails. */
function allowed(message) {
  const type = typeOf(message)
  if (type !== 'Q' && type !== 'P') return message
  const start = type === 'Q' ? 5 : message.indexOf(0, 5) + 1 // a Parse begins with the statement's name
  const sql = message.toString('utf8', start, message.indexOf(0, start))
  if (!/\bstdin\b/i.test(sql)) return message
  if (!/(?:^|;)\s*copy\b[^;]*\bfrom\s+stdin\b/i.test(sql.replace(QUOTED, ' '))) return message
  // The engine itself raises the error: so the transaction fails, and what follows is skipped up to Sync.
  if (type === 'Q') return frame('Q', `${COPY_REFUSAL}\0`)
  return frame('P', `${message.toString('utf8', 5, start)}${COPY_REFUSAL}\0\0\0`)
}

/** Resolves once the system has taken the bytes: a slow reader holds one reply, and not the engine. */
const send = (socket, bytes) =>
  new Promise((sent, failed) => socket.write(bytes, (error) => (error ? failed(error) : sent())))

/** Serves a connection to its end. What it leaves behind in a transaction is rolled back. */
export async function serve(socket, greeting) {
  const read = reader(socket)
  let owner = false
  socket.on('error', () => {}) // the next read or write fails with it
  socket.on('timeout', () => {
    socket.write(fatal('25P03', `rolled back: silent for ${IDLE_LIMIT / 1000} s while all others waited`))
    socket.destroy()
  })
  try {
    if (!(await startsUp(read, socket))) return
    await send(socket, await greeting)
    for (let message; (message = await nextRequest(read)); ) {
      const type = typeOf(message)
      if (!owner) {
        if (type === FLUSH) continue // psycopg's pipelines send one between cycles; its cycle would never end
        await acquire()
        owner = true
        socket.setTimeout(IDLE_LIMIT)
      }
      const reply = exec(allowed(message))
      if (ENDS_CYCLE.includes(type) && reply.at(-1) === IDLE) {
        socket.setTimeout(0)
        owner = false
        release()
      }
      await send(socket, reply)
      if (!owner) await turn() // the others' bytes come in, or one long pipeline would keep the engine
    }
  } catch (error) {
    if (!socket.destroyed) throw error
  } finally {
    if (owner) {
      abandon()
      release()
    }
    socket.destroy()
  }
}
