-- What operators watch, asked for at each scrape: nothing here may be slow.

-- name: watched_numbers()^
-- How the database does as a whole.
SELECT
    extract(epoch FROM now() - h.refreshed_until)::float8 AS rollup_lag_seconds,
    (SELECT count(*) FROM rollup_dirty) AS dirty_days,
    (SELECT count(*) FROM devices WHERE archived_at IS NULL) AS devices,
    (SELECT count(*) FROM devices WHERE archived_at IS NULL AND last_reading_at > now() - INTERVAL '1 hour') AS devices_heard,
    pg_database_size(current_database()) AS bytes,
    s.xact_commit AS commits,
    s.xact_rollback AS rollbacks,
    s.deadlocks,
    s.blks_hit,
    s.blks_read,
    (
        SELECT coalesce(extract(epoch FROM max(now() - xact_start)), 0)::float8
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    ) AS longest_transaction_seconds
FROM rollup_horizon AS h
CROSS JOIN pg_stat_database AS s
WHERE s.datname = current_database();

-- name: watched_connections()
-- Connections to this database by what they do.
SELECT s.state, count(a.pid) AS connections
FROM (VALUES ('active'), ('idle'), ('idle in transaction')) AS s (state)
LEFT JOIN pg_stat_activity AS a ON a.state = s.state AND a.datname = current_database()
GROUP BY s.state
ORDER BY s.state;

-- name: watched_quarantine()
-- What could not be stored in the last hour, by reason.
SELECT reason, count(*) AS items
FROM quarantine
WHERE received_at > now() - INTERVAL '1 hour'
GROUP BY reason
ORDER BY reason;

-- name: watched_jobs()
-- Jobs that come back, ours and the database's: how late each is, and whether its last run failed.
SELECT
    name,
    greatest(0, extract(epoch FROM max(now() - due_at)))::float8 AS overdue_seconds,
    bool_or(error IS NOT NULL) AS failed
FROM (
    SELECT name, due_at, error FROM jobs
    UNION ALL
    SELECT name, due_at, error FROM database_jobs
) AS j
GROUP BY name
ORDER BY name;
