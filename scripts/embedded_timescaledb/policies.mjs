// What PostgreSQL's background processes would do: run due policies, checkpoint, vacuum.

import { setTimeout as sleep } from 'node:timers/promises'

import { acquire, isOwned, query, release } from './engine.mjs'

const TICK = 1_000 // ms between looks for something to do
const STARVED = 5_000 // ms after which we queue up like a client instead of waiting for a quiet moment

// Without checkpoints the log only grows; nothing else removes dead rows or gathers the planner's statistics.
const upkeep = [
  { sql: 'CHECKPOINT', every: 300_000, last: Date.now() },
  { sql: 'VACUUM (ANALYZE)', every: 3_600_000, last: Date.now() },
]

// Jobs below 1000 are TimescaleDB's own: telemetry, and the log of the scheduler that is not here.
const DUE = `
  SELECT job_id FROM timescaledb_information.jobs
  WHERE job_id >= 1000 AND scheduled AND coalesce(next_start, initial_start, '-infinity') <= now()
  ORDER BY coalesce(next_start, initial_start, '-infinity'), job_id
  LIMIT 1`

// run_job leaves this record to the scheduler. With it, timescaledb_information.job_stats tells the truth and a
// restart forgets nothing. The next start is written first: a policy that breaks the engine down must not do so
// again at once.
const started = (id) => `
  INSERT INTO _timescaledb_internal.bgw_job_stat AS stat (
    job_id, last_start, last_finish, next_start, last_successful_finish, last_run_success,
    total_runs, total_duration, total_duration_failures, total_successes, total_failures,
    total_crashes, consecutive_failures, consecutive_crashes)
  SELECT id, now(), '-infinity', now() + schedule_interval, '-infinity', false, 1, '0', '0', 0, 0, 0, 0, 0
  FROM _timescaledb_config.bgw_job WHERE id = ${id}
  ON CONFLICT (job_id) DO UPDATE SET last_start = now(), last_finish = '-infinity',
    next_start = excluded.next_start, last_run_success = false, total_runs = stat.total_runs + 1`
const succeeded = (id) => `
  UPDATE _timescaledb_internal.bgw_job_stat
  SET last_finish = now(), last_successful_finish = now(), last_run_success = true,
    total_successes = total_successes + 1, consecutive_failures = 0,
    total_duration = total_duration + (now() - last_start)
  WHERE job_id = ${id}`
const failed = (id) => `
  UPDATE _timescaledb_internal.bgw_job_stat
  SET last_finish = now(), next_start = now() + retry_period,
    total_failures = total_failures + 1, consecutive_failures = consecutive_failures + 1,
    total_duration_failures = total_duration_failures + (now() - last_start)
  FROM _timescaledb_config.bgw_job
  WHERE id = job_id AND job_id = ${id}`

function runDuePolicy() {
  const [id] = query(DUE)
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

/** Looks for ever, and does at most one thing at a time: every client waits while it runs. */
export async function runPolicies() {
  for (let last = Date.now(); ; await sleep(TICK)) {
    if (isOwned() && Date.now() - last < STARVED) continue
    await acquire()
    last = Date.now()
    const task = upkeep.find((task) => last - task.last >= task.every)
    try {
      if (task) query(task.sql)
      else runDuePolicy()
    } catch (error) {
      console.error(`${task?.sql ?? 'the search for due policies'} failed: ${error.message}`)
    }
    if (task) task.last = last
    release()
  }
}
