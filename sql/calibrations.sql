-- Versions of calibration equations.

-- name: wide_calibrations()
-- The versions of sensors and kits that make values.
SELECT id, sensor_id, kit_id, device_id, equation, valid_from, valid_until
FROM calibration_periods
WHERE device_id IS NULL AND equation IS NOT NULL
ORDER BY id;

-- name: calibrations_of_devices(device_ids)
-- The versions of these devices that make values.
SELECT id, sensor_id, kit_id, device_id, equation, valid_from, valid_until
FROM calibration_periods
WHERE device_id = ANY(:device_ids::integer[]) AND equation IS NOT NULL
ORDER BY id;

-- name: kits_of_devices(device_ids)
-- The kits of these devices, as far as they have one.
SELECT id, kit_id FROM devices WHERE id = ANY(:device_ids::integer[]) AND kit_id IS NOT NULL ORDER BY id;

-- name: sensors_of_keys(device_ids, keys)
-- Which sensor each of these keys stands for on each of these devices.
SELECT device_id, key, sensor_id FROM components WHERE device_id = ANY(:device_ids::integer[]) AND key = ANY(:keys::text[]);

-- name: lock_readings(device_ids)$
-- Until this transaction ends, let nobody else complete readings of these devices, which are given in order.
SELECT count(pg_advisory_xact_lock(hashtext('readings'), device_id)) FROM unnest(:device_ids::integer[]) AS d (device_id);

-- name: stored_datapoints(device_ids, sensor_ids, times)^
-- Those of these keys that are stored.
SELECT
    coalesce(array_agg(d.device_id), '{}') AS device_ids,
    coalesce(array_agg(d.sensor_id), '{}') AS sensor_ids,
    coalesce(array_agg(d.time), '{}') AS times,
    coalesce(array_agg(d.raw), '{}') AS raws,
    coalesce(array_agg(coalesce(d.value, 'NaN')), '{}') AS values,
    coalesce(array_agg(coalesce(d.calibration_id, 0)), '{}') AS calibration_ids
FROM unnest(:device_ids::integer[], :sensor_ids::integer[], :times::timestamptz[]) AS k (device_id, sensor_id, time)
JOIN datapoints AS d USING (device_id, sensor_id, time)
WHERE d.raw IS NOT NULL;

-- name: hold_writers()$
-- Wait for the batches that are being written, and let others wait until this transaction ends.
SELECT horizon FROM rollup_horizon FOR UPDATE;

-- name: insert_calibration(sensor_id, kit_id, device_id, valid_from, equation, inputs, note, author_id)$
-- Add a version and return its id; without `valid_from` it holds from now on.
INSERT INTO calibrations (sensor_id, kit_id, device_id, valid_from, equation, inputs, note, author_id)
VALUES (:sensor_id, :kit_id, :device_id, coalesce(:valid_from, now()), :equation, :inputs, :note, :author_id)
RETURNING id;

-- name: keys_in_scope(kit_id, device_id)$
-- The keys that an equation may use: of the device's components, the kit's, or else any sensor's default key.
SELECT array_agg(key ORDER BY key)
FROM (
    SELECT key FROM components WHERE device_id = :device_id
    UNION
    SELECT key FROM kit_components WHERE kit_id = :kit_id
    UNION
    SELECT default_key
    FROM sensors
    WHERE default_key IS NOT NULL AND :device_id::integer IS NULL AND :kit_id::integer IS NULL
) AS k;

-- name: kit_component_exists(kit_id, sensor_id)$
-- Whether a kit has a component of a sensor.
SELECT EXISTS (SELECT FROM kit_components WHERE kit_id = :kit_id AND sensor_id = :sensor_id);

-- name: calibrations_of_device(device_id)
-- Every version that may bear on a component of a device, for lists.
SELECT
    c.id,
    c.sensor_id,
    c.valid_from,
    CASE WHEN c.device_id IS NOT NULL THEN 1 WHEN c.kit_id IS NOT NULL THEN 2 ELSE 3 END AS distance
FROM calibrations AS c
JOIN components AS o ON o.device_id = :device_id AND o.sensor_id = c.sensor_id
JOIN devices AS d ON d.id = o.device_id
WHERE c.device_id = d.id OR c.kit_id = d.kit_id OR (c.device_id IS NULL AND c.kit_id IS NULL);

-- name: calibrations_of_kit(kit_id)
-- Every version of a kit, for lists.
SELECT id, sensor_id, valid_from, 1 AS distance FROM calibrations WHERE kit_id = :kit_id;

-- name: calibrations_of_sensor(sensor_id)
-- Every version of a sensor wherever it sits, for lists.
SELECT id, sensor_id, valid_from, 1 AS distance
FROM calibrations
WHERE sensor_id = :sensor_id AND kit_id IS NULL AND device_id IS NULL;

-- name: calibrations_by_ids(ids)
-- These versions, in the order of the ids.
SELECT
    c.id,
    c.sensor_id,
    c.kit_id,
    c.device_id,
    c.equation,
    c.valid_from,
    p.valid_until,
    p.id IS NULL AS superseded,
    c.note,
    u.username AS author,
    c.created_at
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN calibrations AS c USING (id)
LEFT JOIN calibration_periods AS p ON p.sensor_id = c.sensor_id AND p.id = c.id
LEFT JOIN users AS u ON u.id = c.author_id
ORDER BY asked.position;

-- name: preview_readings(device_id, sensor_id, start, before, most)^
-- Raws and values of a component, at most so many, oldest first; null arrays where there are none.
SELECT array_agg(time) AS time, array_agg(raw) AS raw, array_agg(coalesce(value, 'NaN')) AS value
FROM (
    SELECT time, raw, value
    FROM datapoints
    WHERE device_id = :device_id AND sensor_id = :sensor_id AND time >= :start AND time < :before AND raw IS NOT NULL
    ORDER BY time
    LIMIT :most
) AS d;
