-- Counters of the whole platform. Days begin in UTC.

-- name: metrics_of_devices()^
-- Devices that are not archived, and of how many something was heard since when.
SELECT
    count(*) AS total,
    count(*) FILTER (WHERE is_private) AS private,
    count(*) FILTER (WHERE is_test) AS test,
    count(*) FILTER (WHERE last_reading_at > now() - INTERVAL '10 minutes') AS now,
    count(*) FILTER (WHERE last_reading_at > now() - INTERVAL '1 hour') AS last_hour,
    count(*) FILTER (WHERE last_reading_at >= date_trunc('day', now(), 'UTC')) AS today,
    count(*) FILTER (WHERE last_reading_at >= date_trunc('month', now(), 'UTC')) AS this_month,
    count(*) FILTER (WHERE last_reading_at >= date_trunc('year', now(), 'UTC')) AS this_year,
    count(*) FILTER (WHERE last_reading_at IS NOT NULL) AS all_time
FROM devices
WHERE archived_at IS NULL;

-- name: metrics_of_users()$
-- Accounts that are not archived.
SELECT count(*) FROM users WHERE archived_at IS NULL;

-- name: metrics_of_quarantine()^
-- What was received and could not be stored.
SELECT
    count(*) FILTER (WHERE received_at > now() - INTERVAL '10 minutes') AS now,
    count(*) FILTER (WHERE received_at > now() - INTERVAL '1 hour') AS last_hour,
    count(*) FILTER (WHERE received_at >= date_trunc('day', now(), 'UTC')) AS today,
    count(*) FILTER (WHERE received_at >= date_trunc('month', now(), 'UTC')) AS this_month,
    count(*) FILTER (WHERE received_at >= date_trunc('year', now(), 'UTC')) AS this_year,
    count(*) AS all_time
FROM quarantine;

-- name: metrics_of_datapoints()^
-- Datapoints by the time they are of: whole days and quarters of an hour from their aggregates, and what is newer
-- from the components that were heard of since, by their index. Late data counts once its day has been refreshed.
WITH horizon AS (
    SELECT
        refreshed_until AS until,
        time_bucket('1 day', refreshed_until) AS day,
        least(refreshed_until, now() - INTERVAL '1 hour') AS fresh
    FROM rollup_horizon
),
buckets AS (
    SELECT bucket, n FROM datapoints_1d WHERE bucket < (SELECT day FROM horizon)
    UNION ALL
    SELECT bucket, n
    FROM datapoints_15m
    WHERE bucket >= (SELECT day FROM horizon) AND bucket < (SELECT until FROM horizon)
),
refreshed AS (
    SELECT
        sum(n) FILTER (WHERE bucket >= date_trunc('day', now(), 'UTC')) AS today,
        sum(n) FILTER (WHERE bucket >= date_trunc('month', now(), 'UTC')) AS this_month,
        sum(n) FILTER (WHERE bucket >= date_trunc('year', now(), 'UTC')) AS this_year,
        sum(n) AS all_time
    FROM buckets
),
fresh AS (
    SELECT
        sum(f.now) AS now,
        sum(f.last_hour) AS last_hour,
        sum(f.today) AS today,
        sum(f.this_month) AS this_month,
        sum(f.this_year) AS this_year,
        sum(f.all_time) AS all_time
    FROM components AS c
    CROSS JOIN horizon AS h
    CROSS JOIN LATERAL (
        SELECT
            count(*) FILTER (WHERE d.time > now() - INTERVAL '10 minutes') AS now,
            count(*) FILTER (WHERE d.time > now() - INTERVAL '1 hour') AS last_hour,
            count(*) FILTER (WHERE d.time >= h.until AND d.time >= date_trunc('day', now(), 'UTC')) AS today,
            count(*) FILTER (WHERE d.time >= h.until AND d.time >= date_trunc('month', now(), 'UTC')) AS this_month,
            count(*) FILTER (WHERE d.time >= h.until AND d.time >= date_trunc('year', now(), 'UTC')) AS this_year,
            count(*) FILTER (WHERE d.time >= h.until) AS all_time
        FROM datapoints AS d
        WHERE
            d.device_id = c.device_id
            AND d.sensor_id = c.sensor_id
            AND d.time >= (SELECT fresh FROM horizon)
            AND d.value IS NOT NULL
    ) AS f
    WHERE c.latest_time >= h.fresh
)
SELECT
    coalesce(f.now, 0)::bigint AS now,
    coalesce(f.last_hour, 0)::bigint AS last_hour,
    (coalesce(r.today, 0) + coalesce(f.today, 0))::bigint AS today,
    (coalesce(r.this_month, 0) + coalesce(f.this_month, 0))::bigint AS this_month,
    (coalesce(r.this_year, 0) + coalesce(f.this_year, 0))::bigint AS this_year,
    (coalesce(r.all_time, 0) + coalesce(f.all_time, 0))::bigint AS all_time
FROM refreshed AS r
CROSS JOIN fresh AS f;
