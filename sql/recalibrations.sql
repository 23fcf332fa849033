-- Redoing history: the values of a component computed anew from its raws.

-- name: insert_recalibrations_of(calibration_id)$
-- Ask for the redo of all that a version which has just been added holds for; return of how many components.
-- Call it in the version's transaction: what is received later sees the version.
WITH asked AS (
    INSERT INTO recalibrations (device_id, sensor_id, calibration_id, range_start, range_end, done_until)
    SELECT
        c.device_id,
        c.sensor_id,
        p.id,
        p.valid_from,
        least(p.valid_until, c.latest_time + INTERVAL '1 microsecond'),
        p.valid_from
    FROM calibration_periods AS p
    JOIN components AS c USING (sensor_id)
    JOIN devices AS d ON d.id = c.device_id
    WHERE
        p.id = :calibration_id
        AND (p.device_id IS NULL OR p.device_id = c.device_id)
        AND (p.kit_id IS NULL OR p.kit_id = d.kit_id)
        AND c.latest_time >= p.valid_from
    ORDER BY c.device_id
    RETURNING id
)
SELECT count(*) FROM asked;

-- name: insert_recalibration(device_id, sensor_id, start, before)$
-- Ask for the redo of a range of one component, and return its id, or null where it has no reading; without an end it
-- is up to the last one.
INSERT INTO recalibrations (device_id, sensor_id, range_start, range_end, done_until)
SELECT
    device_id,
    sensor_id,
    :start::timestamptz,
    greatest(:start, coalesce(:before::timestamptz, latest_time + INTERVAL '1 microsecond')),
    :start
FROM components
WHERE device_id = :device_id AND sensor_id = :sensor_id AND latest_time IS NOT NULL
RETURNING id;

-- name: take_recalibration(lease_s)^
-- Take the oldest redo that waits, or whose worker is dead; of two of one component the second waits for the first.
-- Call it after hold_writers in the same transaction: so no other worker takes one at the same moment, and batches that
-- come later see that it runs, and mind its lock.
UPDATE recalibrations
SET
    state = 'running',
    started_at = coalesce(started_at, now()),
    leased_until = clock_timestamp() + make_interval(secs => :lease_s)
WHERE id = (
    SELECT r.id
    FROM recalibrations AS r
    WHERE
        r.state = 'running' AND r.leased_until < clock_timestamp()
        OR r.state = 'queued' AND NOT EXISTS (
            SELECT FROM recalibrations AS o
            WHERE o.device_id = r.device_id AND o.sensor_id = r.sensor_id AND o.state = 'running'
        )
    ORDER BY r.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, device_id, sensor_id, range_start, range_end, done_until;

-- name: note_recalibrating()!
-- Tell writers whether a redo runs. Call it with what begins one, after hold_writers: an end needs not be heard at once.
UPDATE rollup_horizon
SET recalibrating = NOT recalibrating
WHERE recalibrating <> EXISTS (SELECT FROM recalibrations WHERE state = 'running');

-- name: release_recalibration(id)!
-- Let another worker go on with a redo.
UPDATE recalibrations SET state = 'queued', leased_until = NULL WHERE id = :id AND state = 'running';

-- name: slice_datapoints(device_id, sensor_id, start, before, most)^
-- The oldest datapoints of a range, at most so many, oldest first; null arrays where there are none.
SELECT
    array_agg(time) AS times,
    array_agg(raw) AS raws,
    array_agg(coalesce(value, 'NaN')) AS values,
    array_agg(coalesce(calibration_id, 0)) AS calibration_ids
FROM (
    SELECT time, raw, value, calibration_id
    FROM datapoints
    WHERE device_id = :device_id AND sensor_id = :sensor_id AND time >= :start AND time < :before AND raw IS NOT NULL
    ORDER BY time
    LIMIT :most
) AS d;

-- name: slice_inputs(device_id, sensor_ids, first, last)
-- What other components of the device sent meanwhile.
SELECT sensor_id, array_agg(time ORDER BY time) AS time, array_agg(raw ORDER BY time) AS raw
FROM datapoints
WHERE
    device_id = :device_id
    AND sensor_id = ANY(:sensor_ids::integer[])
    AND time BETWEEN :first AND :last
    AND raw IS NOT NULL
GROUP BY sensor_id;

-- name: allow_any_decompression()
-- Let this transaction rewrite more than 100,000 datapoints of the columnstore: a slice has its own limit.
SELECT set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);

-- name: lock_recalibrated(device_ids)$
-- Until this transaction ends, keep redos away from those of these devices where one runs.
SELECT count(pg_advisory_xact_lock(hashtext('readings'), device_id))
FROM (
    SELECT DISTINCT device_id
    FROM recalibrations
    WHERE state = 'running' AND device_id = ANY(:device_ids::integer[])
    ORDER BY device_id
) AS d;

-- name: in_columnstore(first, last)$
-- Whether a chunk that holds datapoints between two times is in the columnstore.
SELECT EXISTS (
    SELECT
    FROM timescaledb_information.chunks
    WHERE hypertable_name = 'datapoints' AND is_compressed AND range_start <= :last AND range_end > :first
);

-- name: delete_range(device_id, sensor_id, first, last)!
-- Take a component's datapoints between two times out, in the columnstore whole batches at once.
DELETE FROM datapoints WHERE device_id = :device_id AND sensor_id = :sensor_id AND time BETWEEN :first AND :last;

-- name: update_values(device_id, sensor_id, times, values, calibration_ids, first, last, hlc)!
-- Give a component's datapoints, which lie between two times, other values.
UPDATE datapoints AS d
SET value = nullif(n.value, 'NaN'), calibration_id = nullif(n.calibration_id, 0), hlc = :hlc
FROM unnest(:times::timestamptz[], :values::double precision[], :calibration_ids::integer[])
    AS n (time, value, calibration_id)
WHERE
    d.device_id = :device_id
    AND d.sensor_id = :sensor_id
    AND d.time BETWEEN :first AND :last -- so that other chunks and segments are not even looked at
    AND d.time = n.time;

-- name: follow_latest(device_id, sensor_id)!
-- Let a component's latest values be those of its datapoints.
UPDATE components AS c
SET latest_value = n.value, previous_value = n.previous
FROM (
    SELECT time, value, lead(value) OVER (ORDER BY time DESC) AS previous
    FROM datapoints
    WHERE device_id = :device_id AND sensor_id = :sensor_id
    ORDER BY time DESC
    LIMIT 1
) AS n
WHERE c.device_id = :device_id AND c.sensor_id = :sensor_id AND c.latest_time = n.time;

-- name: advance_recalibration(id, expected, done_until, first, computed, changed, lease_s)^
-- Note a slice; no row: the redo is cancelled, or another worker has gone on with it, and the slice must not count.
UPDATE recalibrations
SET
    done_until = :done_until,
    range_start = CASE WHEN computed = 0 THEN greatest(range_start, :first) ELSE range_start END,
    computed = computed + :computed,
    changed = changed + :changed,
    leased_until = clock_timestamp() + make_interval(secs => :lease_s)
WHERE id = :id AND state = 'running' AND done_until = :expected
RETURNING id, device_id, sensor_id, range_start, range_end, done_until;

-- name: end_recalibration(id, state, error)!
-- A redo that runs is done, or has failed.
UPDATE recalibrations
SET state = :state, error = :error, leased_until = NULL, finished_at = now()
WHERE id = :id AND state = 'running';

-- name: cancel_recalibration(id)!
-- Stop a redo between two slices, or before its first.
UPDATE recalibrations
SET state = 'cancelled', leased_until = NULL, finished_at = now()
WHERE id = :id AND state IN ('queued', 'running');

-- name: recalibrations_listed(viewer_id, viewer_is_admin, device_id, calibration_id, state)
-- Redos of the viewer's own devices, an admin's of all, for lists.
SELECT r.id
FROM recalibrations AS r
JOIN devices AS d ON d.id = r.device_id
WHERE
    d.archived_at IS NULL
    AND (:viewer_is_admin OR d.owner_id = :viewer_id)
    AND (:device_id::integer IS NULL OR r.device_id = :device_id)
    AND (:calibration_id::integer IS NULL OR r.calibration_id = :calibration_id)
    AND (:state::text IS NULL OR r.state = :state);

-- name: recalibrations_by_ids(ids)
-- These redos, in the order of the ids, with whose devices they are of.
SELECT r.*, d.owner_id
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN recalibrations AS r USING (id)
JOIN devices AS d ON d.id = r.device_id
WHERE d.archived_at IS NULL
ORDER BY asked.position;
