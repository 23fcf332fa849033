-- Jobs that come back.

-- name: set_jobs(names, periods)!
-- Have these jobs done by workers, each in its period, and no others.
WITH gone AS (
    DELETE FROM jobs WHERE done_by = 'worker' AND name <> ALL(:names::text[])
)
INSERT INTO jobs AS j (name, done_by, period)
SELECT name, 'worker', period
FROM unnest(:names::text[], :periods::interval[]) AS n (name, period)
ORDER BY name
ON CONFLICT (name) DO UPDATE SET period = excluded.period WHERE j.period <> excluded.period;

-- name: due_jobs()
-- What a worker should do now: it is due, and nobody is at it, or whoever was has died.
SELECT name, run
FROM jobs
WHERE done_by = 'worker' AND due_at <= now() AND (leased_until IS NULL OR leased_until < now())
ORDER BY due_at, name;

-- name: claim_job(name, lease_s)$
-- Begin a run, and return its number; null where the job is not due, or another is at it.
UPDATE jobs
SET
    run = run + 1,
    leased_until = now() + make_interval(secs => :lease_s),
    started_at = now(),
    finished_at = NULL,
    result = NULL,
    error = NULL
WHERE name = :name AND due_at <= now() AND (leased_until IS NULL OR leased_until < now())
RETURNING run;

-- name: keep_job(name, run, lease_s)!
-- Say that a run is still under way; nothing where another has taken it over.
UPDATE jobs SET leased_until = now() + make_interval(secs => :lease_s) WHERE name = :name AND run = :run;

-- name: end_job(name, run, result, error)!
-- End a run. The next is due when the next full period begins, or at once where somebody asked for it meanwhile.
UPDATE jobs
SET
    leased_until = NULL,
    finished_at = now(),
    result = :result::jsonb,
    error = :error,
    due_at = CASE WHEN due_at > started_at THEN due_at ELSE date_bin(period, started_at, 'epoch') + period END
WHERE name = :name AND run = :run;

-- name: note_job(name, done_by, period, started_at, result, error)!
-- Note a run of a job that is not a worker's.
INSERT INTO jobs AS j (name, done_by, period, due_at, run, started_at, finished_at, result, error)
VALUES (:name, :done_by, :period, now() + :period::interval, 1, :started_at, now(), :result::jsonb, :error)
ON CONFLICT (name) DO UPDATE
SET
    period = excluded.period,
    due_at = excluded.due_at,
    run = j.run + 1,
    started_at = excluded.started_at,
    finished_at = excluded.finished_at,
    result = excluded.result,
    error = excluded.error;

-- name: job_is_due(name)$
-- Whether a job is due, or has never been done.
SELECT coalesce((SELECT due_at <= now() FROM jobs WHERE name = :name), true);

-- name: jobs_listed()
-- All jobs, whoever does them.
SELECT
    name,
    done_by,
    extract(epoch FROM period)::float8 AS period,
    CASE
        WHEN leased_until >= now() THEN 'running'
        WHEN started_at IS NULL THEN 'waiting'
        WHEN finished_at IS NULL THEN 'cut off'
        WHEN error IS NOT NULL THEN 'failed'
        ELSE 'succeeded'
    END AS state,
    started_at,
    finished_at,
    extract(epoch FROM finished_at - started_at)::float8 AS duration,
    result,
    error,
    due_at AS next_run_at
FROM jobs
UNION ALL
SELECT
    name,
    'database' AS done_by,
    extract(epoch FROM period)::float8 AS period,
    CASE
        WHEN started_at IS NULL THEN 'waiting'
        WHEN finished_at IS NULL THEN 'running'
        WHEN error IS NOT NULL THEN 'failed'
        ELSE 'succeeded'
    END AS state,
    started_at,
    finished_at,
    extract(epoch FROM finished_at - started_at)::float8 AS duration,
    NULL AS result,
    error,
    due_at AS next_run_at
FROM database_jobs
ORDER BY name;

-- name: ask_for_job(name)!
-- Have a worker or the broker's keeper do a job as soon as one can.
UPDATE jobs SET due_at = now() WHERE name = :name;

-- name: ask_for_database_job(name)
-- Have the database do one of its jobs now.
SELECT alter_job(job_id, next_start => now()) FROM database_jobs WHERE name = :name;
