-- What history is answered from. Each segment of a range is one of the four `segment_` queries: a row of arrays,
-- newest first, so that no Python object is made for a value. The arrays are null where the range holds nothing.

-- name: history_state(device_id, first_day, last_day)^
-- The moment from which on writes are not in the answer, what lies open for writes, and which days to read from raw.
SELECT
    statement_timestamp() AS complete_as_of,
    h.horizon,
    d.data_version,
    d.late_version,
    ARRAY(
        SELECT r.day - DATE '1970-01-01'
        FROM rollup_dirty AS r
        WHERE r.device_id = d.id AND r.day BETWEEN :first_day AND :last_day
    ) AS dirty_days
FROM devices AS d
CROSS JOIN rollup_horizon AS h
WHERE d.id = :device_id;

-- name: component_by_sensor(device_id, sensor_id)^
-- One component of a device, by its sensor.
SELECT id, sensor_id, key, latest_time FROM components WHERE device_id = :device_id AND sensor_id = :sensor_id;

-- name: component_by_key(device_id, key)^
-- One component of a device, by its key.
SELECT id, sensor_id, key, latest_time FROM components WHERE device_id = :device_id AND key = :key;

-- name: first_time(device_id, sensor_id)$
-- The time of a component's first reading.
SELECT time FROM datapoints WHERE device_id = :device_id AND sensor_id = :sensor_id ORDER BY time LIMIT 1;

-- name: reading_interval(device_id, sensor_id)$
-- The usual distance of a component's readings in seconds: the median of its last hundred.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(EPOCH FROM newer - time))
FROM (
    SELECT time, lag(time) OVER (ORDER BY time DESC) AS newer
    FROM (
        SELECT time FROM datapoints WHERE device_id = :device_id AND sensor_id = :sensor_id ORDER BY time DESC LIMIT 101
    ) AS newest
) AS distances;

-- name: segment_raw(device_id, sensor_id, start, before, as_received)^
-- Datapoints: the processed value, or what the device sent.
SELECT array_agg(time) AS time, array_agg(value) AS value
FROM (
    SELECT time, CASE WHEN :as_received THEN raw ELSE value END AS value
    FROM datapoints
    WHERE device_id = :device_id AND sensor_id = :sensor_id AND time >= :start AND time < :before
    ORDER BY time DESC
) AS d
WHERE value IS NOT NULL;

-- name: segment_15m(device_id, sensor_id, start, before, whole)^
-- Quarters of an hour; what only some functions need comes where `whole` is true.
SELECT
    array_agg(bucket) AS time,
    array_agg(n::double precision) AS n,
    array_agg(sum) AS sum,
    array_agg(m2) FILTER (WHERE :whole) AS m2,
    array_agg(min) FILTER (WHERE :whole) AS min,
    array_agg(max) FILTER (WHERE :whole) AS max,
    array_agg(first) FILTER (WHERE :whole) AS first,
    array_agg(last) FILTER (WHERE :whole) AS last
FROM (
    SELECT bucket, n, sum, m2, min, max, first, last
    FROM datapoints_15m
    WHERE device_id = :device_id AND sensor_id = :sensor_id AND bucket >= :start AND bucket < :before
    ORDER BY bucket DESC
) AS b;

-- name: segment_1h(device_id, sensor_id, start, before, whole)^
-- Hours; what only some functions need comes where `whole` is true.
SELECT
    array_agg(bucket) AS time,
    array_agg(n::double precision) AS n,
    array_agg(sum) AS sum,
    array_agg(m2) FILTER (WHERE :whole) AS m2,
    array_agg(min) FILTER (WHERE :whole) AS min,
    array_agg(max) FILTER (WHERE :whole) AS max,
    array_agg(first) FILTER (WHERE :whole) AS first,
    array_agg(last) FILTER (WHERE :whole) AS last
FROM (
    SELECT bucket, n, sum, m2, min, max, first, last
    FROM datapoints_1h
    WHERE device_id = :device_id AND sensor_id = :sensor_id AND bucket >= :start AND bucket < :before
    ORDER BY bucket DESC
) AS b;

-- name: segment_1d(device_id, sensor_id, start, before, whole)^
-- Days; what only some functions need comes where `whole` is true.
SELECT
    array_agg(bucket) AS time,
    array_agg(n::double precision) AS n,
    array_agg(sum) AS sum,
    array_agg(m2) FILTER (WHERE :whole) AS m2,
    array_agg(min) FILTER (WHERE :whole) AS min,
    array_agg(max) FILTER (WHERE :whole) AS max,
    array_agg(first) FILTER (WHERE :whole) AS first,
    array_agg(last) FILTER (WHERE :whole) AS last
FROM (
    SELECT bucket, n, sum, m2, min, max, first, last
    FROM datapoints_1d
    WHERE device_id = :device_id AND sensor_id = :sensor_id AND bucket >= :start AND bucket < :before
    ORDER BY bucket DESC
) AS b;
