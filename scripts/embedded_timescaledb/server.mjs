// Embedded TimescaleDB: the real one, compiled to WebAssembly, behind a PostgreSQL port on the loopback.
//
//   node server.mjs --data DIR --port N      (port 0: any free one, named in the ready line)
//
// The engine is one backend with one session, and works through each message synchronously. So clients take
// turns, and share what a session holds: settings, temporary tables, prepared statements. Database, user and
// password are not checked, for only this machine can connect. A commit survives `kill -9`, but perhaps not a
// power cut: the engine's file layer does not fsync its log.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { fatal, serve } from './client.mjs'
import { boot, query, shutDown } from './engine.mjs'
import { runPolicies } from './policies.mjs'

const GRACE = 2_000 // ms for a running transaction to end when we are told to stop

function die(words) {
  console.error(words)
  process.exit(1)
}

function options() {
  try {
    const text = { type: 'string' }
    const { data, port } = parseArgs({ options: { data: text, port: text } }).values
    if (data && /^\d+$/.test(port) && port <= 65535) return { directory: resolve(data), port: Number(port) }
  } catch (error) {
    console.error(error.message)
  }
  die('usage: node server.mjs --data DIR --port N   (0 to 65535; 0 takes any free one)')
}

function isAlive(pid) {
  try {
    // The last run may have had our own: in a container they repeat.
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
    if (isAlive(pid)) die(`${directory} is in use by process ${pid}; if that is not so, remove ${file}`)
    rmSync(file)
  }
  process.on('exit', () => rmSync(file, { force: true }))
}

const { directory, port } = options()
mkdirSync(directory, { recursive: true, mode: 0o700 })
lock(directory)

const clients = new Set()
let greeting // the engine's answer to a start-up, once it has booted
const listener = createServer({ noDelay: true }, (socket) => {
  clients.add(socket)
  socket.on('close', () => clients.delete(socket))
  serve(socket, greeting)
})
listener.on('error', (error) => {
  const reason = error.code === 'EADDRINUSE' ? 'the port is taken' : error.message
  die(`cannot listen on 127.0.0.1:${port}: ${reason}`)
})
// Before the boot, which takes two seconds: a taken port is told at once, and who connects early waits.
await new Promise((listening) => listener.listen(port, '127.0.0.1', listening))
greeting = boot(directory)

async function stop() {
  listener.close()
  await greeting
  await shutDown(sleep(GRACE))
  for (const socket of clients) socket.end(fatal('57P01', 'the embedded TimescaleDB is stopping'))
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)

try {
  await greeting
} catch (error) {
  die(`cannot open the database in ${directory}: ${error.stack}`)
}
const [version] = query("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
console.log(`embedded TimescaleDB ${version} ready on 127.0.0.1:${listener.address().port}`)
runPolicies()
