-- Jobs that come back: when each is due, who is at it, and how it went last. The scheduler wakes a worker up for what is
-- due; the worker claims it here, so that it is done once however often somebody was woken up for it.

CREATE TABLE jobs (
    name text PRIMARY KEY,
    done_by text NOT NULL CHECK (done_by IN ('worker', 'broker keeper')),
    period interval NOT NULL CHECK (period > INTERVAL '0'),
    due_at timestamptz NOT NULL DEFAULT now(), -- of a run that is under way or was cut off: when that was due
    run bigint NOT NULL DEFAULT 0, -- counts the runs; one that was taken for dead ends under its old number, in vain
    leased_until timestamptz, -- null: nobody is at it
    started_at timestamptz, -- of the newest run, as the rest
    finished_at timestamptz, -- null: it is under way, or was cut off
    result jsonb,
    error text -- null: it succeeded
);

-- TimescaleDB's own jobs, in the same words. Those below 1000 are its own affair.
CREATE VIEW database_jobs AS
SELECT
    concat_ws('.', 'database', j.proc_name, j.hypertable_name) AS name,
    j.job_id,
    j.schedule_interval AS period,
    coalesce(nullif(j.next_start, '-infinity'), now()) AS due_at, -- which stands there while it runs
    nullif(s.last_run_started_at, '-infinity') AS started_at,
    nullif(s.last_run_started_at + s.last_run_duration, '-infinity') AS finished_at,
    CASE
        WHEN s.last_run_status = 'Failed' THEN coalesce(
            (SELECT e.err_message FROM timescaledb_information.job_errors AS e WHERE e.job_id = j.job_id ORDER BY e.finish_time DESC LIMIT 1),
            'the log of the database says why'
        )
    END AS error
FROM timescaledb_information.jobs AS j
LEFT JOIN timescaledb_information.job_stats AS s USING (job_id)
WHERE j.job_id >= 1000 AND j.scheduled;
