-- What history is answered from. Each segment of a range is one of the `segment_` queries: a row of arrays for each
-- sensor that has something there, so that no Python object is made for a value. The arrays stand in no order, and are
-- bytes, for sql.arrays: real arrays are first gathered and then written, which took a quarter longer. They are
-- gathered sensor by sensor: to look for the group of each row took a fifth of the time, a column with FILTER as much.
--
-- Whose buckets are rollups, say that a sensor's id lies between 1 and the largest: of any array PostgreSQL expects ten
-- elements, and of those that lie within two bounds one. It then keeps a plan for any sensor, where to make one each time
-- took half of the time.

-- name: history_state(device_id, first_day, last_day, as_of, sensor_ids, keys)^
-- Who may read a device; the moment from which on writes may be missing in the answer, which a replica does not know by
-- itself (`as_of`; null on the primary, whose transaction begins before its snapshot is taken: statement_timestamp() is
-- that of Execute, after it); up to where aggregates are complete, and which days of them are not; the versions of the
-- data, which each site counts by itself, and the start of the oldest chunk: retention drops chunks and counts nothing
-- (null: there is none). And those components that are asked for by their sensors or their keys, times in microseconds:
-- to ask for them apart took as long again.
SELECT
    coalesce(:as_of::timestamptz, now()) AS complete_as_of,
    h.horizon,
    h.refreshed_until,
    d.id,
    d.owner_id,
    d.is_private,
    d.archived_at,
    d.first_reading_at,
    d.data_version,
    d.late_version,
    (SELECT id FROM site) AS site,
    (
        SELECT s.range_start
        FROM _timescaledb_catalog.dimension_slice AS s
        WHERE
            s.dimension_id = (
                SELECT m.id
                FROM _timescaledb_catalog.hypertable AS t
                JOIN _timescaledb_catalog.dimension AS m ON m.hypertable_id = t.id
                WHERE t.table_name = 'datapoints'
            )
        ORDER BY s.range_start
        LIMIT 1
    ) AS kept_from_us,
    ARRAY(
        SELECT r.day - DATE '1970-01-01'
        FROM rollup_dirty AS r
        WHERE r.device_id = d.id AND r.day BETWEEN :first_day AND :last_day
    ) AS dirty_days,
    (
        SELECT json_agg(asked ORDER BY asked.sensor_id)
        FROM (
            SELECT
                c.id,
                c.sensor_id,
                c.key,
                (extract(EPOCH FROM c.latest_time) * 1000000)::bigint AS latest_us,
                coalesce(c.interval, k.publish_interval) AS interval
            FROM components AS c
            LEFT JOIN kits AS k ON k.id = d.kit_id
            WHERE c.device_id = d.id AND (c.sensor_id = ANY(:sensor_ids::integer[]) OR c.key = ANY(:keys::text[]))
        ) AS asked
    ) AS components
FROM devices AS d
CROSS JOIN rollup_horizon AS h
WHERE d.id = :device_id;

-- name: paces_of_components(device_id, sensor_ids)
-- Since when these components do what they are told: whether they read, and how often (seconds; null: nobody said).
SELECT
    c.sensor_id,
    f.since,
    coalesce((f.config #>> ARRAY['components', c.key, 'enabled'])::boolean, true) AS enabled,
    coalesce(f.config #>> ARRAY['components', c.key, 'interval'], f.config ->> 'publish_interval')::double precision
        AS interval
FROM components AS c
JOIN device_configs_in_force AS f USING (device_id)
WHERE c.device_id = :device_id AND c.sensor_id = ANY(:sensor_ids::integer[])
ORDER BY c.sensor_id, f.since, f.version;

-- name: reading_interval(device_id, sensor_id, start, before)$
-- The usual distance of a component's readings in seconds: the median of the last hundred in a range.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(EPOCH FROM newer - time))
FROM (
    SELECT time, lag(time) OVER (ORDER BY time DESC) AS newer
    FROM (
        SELECT time
        FROM datapoints
        WHERE device_id = :device_id AND sensor_id = :sensor_id AND time >= :start AND time < :before
        ORDER BY time DESC
        LIMIT 101
    ) AS newest
) AS distances;

-- name: segment_raw(device_id, sensor_ids, start, before, as_received, largest)
-- Datapoints up to a size: the processed value, or what the device sent.
SELECT s.id AS sensor_id, d.time, d.value
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(time), '') AS time, string_agg(float8send(value), '') AS value
    FROM (
        SELECT time, CASE WHEN :as_received THEN raw ELSE value END AS value
        FROM datapoints
        WHERE device_id = :device_id AND sensor_id = s.id AND time >= :start AND time < :before
    ) AS chosen
    WHERE abs(value) <= :largest
) AS d
WHERE d.time IS NOT NULL;

-- name: segment_15m(device_id, sensor_ids, start, before)
-- Quarters of an hour: what averages, sums and counts need.
SELECT s.id AS sensor_id, b.time, b.n, b.sum
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(bucket), '') AS time, string_agg(float8send(n), '') AS n, string_agg(float8send(sum), '') AS sum
    FROM datapoints_15m
    WHERE device_id = :device_id AND sensor_id = s.id AND bucket >= :start AND bucket < :before
) AS b
WHERE s.id BETWEEN 1 AND 2147483647 AND b.time IS NOT NULL;

-- name: segment_15m_whole(device_id, sensor_ids, start, before)
-- Quarters of an hour: all that is known of them.
SELECT s.id AS sensor_id, b.time, b.n, b.sum, b.m2, b.min, b.max, b.first, b.last
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT
        string_agg(timestamptz_send(bucket), '') AS time,
        string_agg(float8send(n), '') AS n,
        string_agg(float8send(sum), '') AS sum,
        string_agg(float8send(m2), '') AS m2,
        string_agg(float8send(min), '') AS min,
        string_agg(float8send(max), '') AS max,
        string_agg(float8send(first), '') AS first,
        string_agg(float8send(last), '') AS last
    FROM datapoints_15m
    WHERE device_id = :device_id AND sensor_id = s.id AND bucket >= :start AND bucket < :before
) AS b
WHERE s.id BETWEEN 1 AND 2147483647 AND b.time IS NOT NULL;

-- name: segment_1h(device_id, sensor_ids, start, before)
-- Hours: what averages, sums and counts need.
SELECT s.id AS sensor_id, b.time, b.n, b.sum
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(bucket), '') AS time, string_agg(float8send(n), '') AS n, string_agg(float8send(sum), '') AS sum
    FROM datapoints_1h
    WHERE device_id = :device_id AND sensor_id = s.id AND bucket >= :start AND bucket < :before
) AS b
WHERE s.id BETWEEN 1 AND 2147483647 AND b.time IS NOT NULL;

-- name: segment_1h_whole(device_id, sensor_ids, start, before)
-- Hours: all that is known of them.
SELECT s.id AS sensor_id, b.time, b.n, b.sum, b.m2, b.min, b.max, b.first, b.last
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT
        string_agg(timestamptz_send(bucket), '') AS time,
        string_agg(float8send(n), '') AS n,
        string_agg(float8send(sum), '') AS sum,
        string_agg(float8send(m2), '') AS m2,
        string_agg(float8send(min), '') AS min,
        string_agg(float8send(max), '') AS max,
        string_agg(float8send(first), '') AS first,
        string_agg(float8send(last), '') AS last
    FROM datapoints_1h
    WHERE device_id = :device_id AND sensor_id = s.id AND bucket >= :start AND bucket < :before
) AS b
WHERE s.id BETWEEN 1 AND 2147483647 AND b.time IS NOT NULL;

-- name: segment_1d(device_id, sensor_ids, start, before)
-- Days: what averages, sums and counts need.
SELECT s.id AS sensor_id, b.time, b.n, b.sum
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(bucket), '') AS time, string_agg(float8send(n), '') AS n, string_agg(float8send(sum), '') AS sum
    FROM datapoints_1d
    WHERE device_id = :device_id AND sensor_id = s.id AND bucket >= :start AND bucket < :before
) AS b
WHERE s.id BETWEEN 1 AND 2147483647 AND b.time IS NOT NULL;

-- name: segment_1d_whole(device_id, sensor_ids, start, before)
-- Days: all that is known of them.
SELECT s.id AS sensor_id, b.time, b.n, b.sum, b.m2, b.min, b.max, b.first, b.last
FROM unnest(:sensor_ids::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT
        string_agg(timestamptz_send(bucket), '') AS time,
        string_agg(float8send(n), '') AS n,
        string_agg(float8send(sum), '') AS sum,
        string_agg(float8send(m2), '') AS m2,
        string_agg(float8send(min), '') AS min,
        string_agg(float8send(max), '') AS max,
        string_agg(float8send(first), '') AS first,
        string_agg(float8send(last), '') AS last
    FROM datapoints_1d
    WHERE device_id = :device_id AND sensor_id = s.id AND bucket >= :start AND bucket < :before
) AS b
WHERE s.id BETWEEN 1 AND 2147483647 AND b.time IS NOT NULL;

-- name: readings_summary(device_id, refreshed_day, dirty_days)
-- The first and the last time and the number of the values of each of a device's components, by sensor name: days below
-- refreshed_day from their aggregate, all later ones and the dirty ones of them from the datapoints.
WITH of_days AS (
    SELECT sensor_id, n, first_time, last_time
    FROM datapoints_1d
    WHERE
        device_id = :device_id
        AND bucket < :refreshed_day
        AND (bucket AT TIME ZONE 'UTC')::date <> ALL(:dirty_days::date[])
    UNION ALL
    SELECT d.sensor_id, d.n, d.first_time, d.last_time
    FROM unnest(:dirty_days::date[]) AS dirty (day)
    CROSS JOIN LATERAL (
        SELECT sensor_id, count(*) AS n, min(time) AS first_time, max(time) AS last_time
        FROM datapoints
        WHERE
            device_id = :device_id
            AND time >= dirty.day::timestamp AT TIME ZONE 'UTC'
            AND time < (dirty.day + 1)::timestamp AT TIME ZONE 'UTC'
            AND abs(value) <= 1e100
        GROUP BY sensor_id
    ) AS d
    UNION ALL
    SELECT sensor_id, count(*), min(time), max(time)
    FROM datapoints
    WHERE device_id = :device_id AND time >= :refreshed_day AND abs(value) <= 1e100
    GROUP BY sensor_id
)
SELECT
    c.id AS component_id,
    c.sensor_id,
    c.key AS sensor_key,
    s.name AS sensor_name,
    coalesce(sum(o.n), 0)::bigint AS count,
    min(o.first_time) AS first_reading_at,
    max(o.last_time) AS last_reading_at
FROM components AS c
JOIN sensors AS s ON s.id = c.sensor_id
LEFT JOIN of_days AS o ON o.sensor_id = c.sensor_id
WHERE c.device_id = :device_id
GROUP BY c.id, c.sensor_id, c.key, s.name
ORDER BY s.name, c.id;

-- name: latest_of_measurement(measurement_id, viewer_id, viewer_is_admin)
-- The latest value of every component that measures something, of the devices that the viewer may see, newest first;
-- where they are as everybody may know.
SELECT
    c.id AS component_id,
    d.id AS device_id,
    d.name AS device_name,
    d.latitude,
    d.longitude,
    s.id AS sensor_id,
    s.name AS sensor_name,
    s.unit,
    c.latest_value AS value,
    c.latest_time AS recorded_at
FROM sensors AS s
JOIN components AS c ON c.sensor_id = s.id
JOIN devices AS d ON d.id = c.device_id
WHERE
    s.measurement_id = :measurement_id
    AND c.latest_value IS NOT NULL
    AND d.archived_at IS NULL
    AND NOT d.is_test
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
ORDER BY c.latest_time DESC, c.id;
