-- Whether the database looks after itself. Each check gives rows of one form: a thing, what it is like (`state`), what it
-- may be like at most (`allowed`), whether it is well, and what to do where it is not (`way_out`).

-- name: check_policies()
-- Jobs of the database that must run, and those that somebody has added: scheduled, succeeding, and not long ago.
SELECT
    'policy ' || coalesce(j.name, w.name) AS thing,
    CASE
        WHEN j.job_id IS NULL THEN 'missing'
        WHEN NOT j.scheduled THEN 'switched off'
        WHEN s.last_run_status = 'Failed' THEN concat_ws(': ', 'its last run failed', d.error)
        WHEN s.last_successful_finish > '-infinity' THEN 'last done ' || date_trunc('second', now() - s.last_successful_finish) || ' ago'
        ELSE 'not run yet'
    END AS state,
    'every ' || coalesce(j.schedule_interval, w.every) || ', at most three times as long ago' AS allowed,
    coalesce(
        j.scheduled
        AND s.last_run_status IS DISTINCT FROM 'Failed'
        AND (
            s.last_successful_finish IS NULL
            OR s.last_successful_finish = '-infinity'
            OR s.last_successful_finish > now() - 3 * j.schedule_interval - INTERVAL '10 minutes'
        ),
        false
    ) AS is_well,
    CASE
        WHEN j.job_id IS NULL THEN 'restore it as migrations/ made it, with add_job() or add_columnstore_policy()'
        WHEN NOT j.scheduled THEN 'SELECT alter_job(' || j.job_id || ', scheduled => true)'
        WHEN s.last_run_status = 'Failed' THEN 'CALL run_job(' || j.job_id || ') tries it at once: what works there fails in the background alone'
        ELSE 'CALL run_job(' || j.job_id || ') shows why; is timescaledb.max_background_workers large enough?'
    END AS way_out
FROM (
    VALUES
        ('refresh_rollups', INTERVAL '1 minute'),
        ('convert_rollups_to_columnstore', '12 hours'),
        ('policy_compression of datapoints', '12 hours')
) AS w (name, every)
FULL JOIN (
    SELECT *, concat_ws(' of ', proc_name, hypertable_name) AS name
    FROM timescaledb_information.jobs
    WHERE job_id >= 1000
) AS j ON j.name = w.name
LEFT JOIN timescaledb_information.job_stats AS s ON s.job_id = j.job_id
LEFT JOIN database_jobs AS d ON d.job_id = j.job_id
ORDER BY 1;

-- name: check_refresh()
-- How far behind the aggregates are: history reads from datapoints what lies above.
SELECT
    'refresh of the aggregates' AS thing,
    date_trunc('second', now() - refreshed_until) || ' behind' AS state,
    '45 minutes' AS allowed,
    refreshed_until > now() - INTERVAL '45 minutes' AS is_well,
    'CALL refresh_rollups() does a step and shows why; a transaction that is open for long holds it up' AS way_out
FROM rollup_horizon;

-- name: check_dirty()
-- Days that late data has touched and that are read from datapoints until they are refreshed.
SELECT
    'days to refresh' AS thing,
    count(*) || coalesce(', the oldest for ' || date_trunc('second', now() - min(marked_at)), '') AS state,
    '1 hour' AS allowed,
    coalesce(min(marked_at) > now() - INTERVAL '1 hour', true) AS is_well,
    'CALL refresh_rollups() does a month of them; more wait than one run does in an hour, or it fails' AS way_out
FROM rollup_dirty;

-- name: check_columnstore()
-- Chunks that should be in the columnstore, where a datapoint takes a fifth. Late data makes old ones anew, for which
-- the policy comes twice a day.
SELECT
    'chunks of datapoints to convert' AS thing,
    count(*) || coalesce(', the oldest from ' || min(range_start)::date, '') AS state,
    'older than 10 days and made a day ago: 0' AS allowed,
    count(*) = 0 AS is_well,
    'CALL convert_to_columnstore(chunk) for each; a recalibration that goes on converts them when it is done' AS way_out
FROM timescaledb_information.chunks
WHERE
    hypertable_name = 'datapoints'
    AND NOT is_compressed
    AND range_end < now() - INTERVAL '10 days'
    AND chunk_creation_time < now() - INTERVAL '1 day';

-- name: check_scans()
-- Tables that are often read from end to end though they are large: a query lacks an index.
SELECT
    'scans of ' || relname AS thing,
    seq_scan || ' whole reads of ' || seq_tup_read / seq_scan || ' rows, ' || coalesce(idx_scan, 0) || ' by an index' AS state,
    '1,000 of 10,000 rows, a tenth of all' AS allowed,
    false AS is_well,
    'pg_stat_statements and EXPLAIN name the query; pg_stat_reset_single_table_counters(''' || relid::regclass || '''::regclass) counts anew' AS way_out
FROM pg_stat_user_tables
WHERE
    schemaname = 'public'
    AND seq_scan > 1000
    AND seq_tup_read / seq_scan > 10000
    AND seq_scan > coalesce(idx_scan, 0) / 9
ORDER BY seq_tup_read DESC, 1;

-- name: check_log()
-- What makes the log pile up, and the disk full: an archive that does not take it, a slot that nobody reads.
SELECT
    'archive of the log' AS thing,
    CASE
        WHEN current_setting('archive_mode') = 'off' THEN 'off: there is no restore to a moment'
        WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 'fails since ' || date_trunc('second', last_failed_time)
        ELSE 'has ' || coalesce(last_archived_wal, 'nothing yet')
    END AS state,
    'the last try succeeded' AS allowed,
    coalesce(last_failed_time <= coalesce(last_archived_time, '-infinity'), true) AS is_well,
    'pgbackrest check, in the container of the database, says why; is there room where backups go?' AS way_out
FROM pg_stat_archiver
UNION ALL
SELECT
    'replication slot ' || slot_name,
    pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) || ' kept for it, ' || CASE WHEN active THEN 'read' ELSE 'not read' END,
    '8 GB',
    pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 8 * 1024 ^ 3,
    'bring its replica back, or SELECT pg_drop_replication_slot(''' || slot_name || ''') and make that anew'
FROM pg_replication_slots
WHERE restart_lsn IS NOT NULL
ORDER BY 1;

-- name: check_disk(disk_gb)
-- When the disk is full at the pace of the last week: its datapoints, at as many bytes as one takes here on average.
WITH held AS (
    SELECT
        pg_database_size(current_database()) AS bytes,
        (SELECT sum(n) FROM datapoints_1d) AS datapoints,
        (SELECT sum(n) / 7 FROM datapoints_1d WHERE bucket >= now() - INTERVAL '8 days') AS a_day
),
pace AS (
    SELECT bytes, bytes / nullif(datapoints, 0) * a_day AS bytes_a_day, :disk_gb::double precision * 1e9 AS room
    FROM held
)
SELECT
    'disk' AS thing,
    pg_size_pretty(bytes)
    || coalesce(', grows by ' || pg_size_pretty(bytes_a_day::bigint) || ' a day', ', does not grow')
    || CASE WHEN room <= bytes THEN ', full' ELSE coalesce(', full in ' || floor((room - bytes) / nullif(bytes_a_day, 0)) || ' days', '') END AS state,
    coalesce('60 days to go on ' || :disk_gb || ' GB', 'tell its size: --disk GB') AS allowed,
    coalesce(room > bytes, true) AND coalesce((room - bytes) / nullif(bytes_a_day, 0) > 60, true) AS is_well,
    'a larger disk; `almanac retention DAYS`; README.md, Database upkeep, says what a datapoint takes where' AS way_out
FROM pace;
