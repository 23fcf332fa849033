-- Versions of calibration equations.

-- name: calibrations_in_force(device_ids, sensor_ids, earliest, latest)
-- The versions that may bear on datapoints of these devices and sensors between two times, or use them as inputs, the
-- widest scope first.
SELECT id, sensor_id, kit_id, device_id, equation, valid_from, valid_until
FROM calibration_periods
WHERE
    (sensor_id = ANY(:sensor_ids::integer[]) OR cardinality(inputs) > 0)
    AND (device_id IS NULL OR device_id = ANY(:device_ids::integer[]))
    AND valid_from <= :latest
    AND (valid_until IS NULL OR valid_until > :earliest)
    AND equation IS NOT NULL
ORDER BY device_id NULLS FIRST, kit_id NULLS FIRST, sensor_id, valid_from;

-- name: devices_of_kits(device_ids, kit_ids)
-- Which of these devices are of one of these kits.
SELECT kit_id, array_agg(id ORDER BY id) AS device_ids
FROM devices
WHERE id = ANY(:device_ids::integer[]) AND kit_id = ANY(:kit_ids::integer[])
GROUP BY kit_id;

-- name: sensors_of_keys(device_ids, keys)
-- Which sensor each of these keys stands for on each of these devices.
SELECT device_id, key, sensor_id FROM components WHERE device_id = ANY(:device_ids::integer[]) AND key = ANY(:keys::text[]);

-- name: lock_readings(device_ids)$
-- Until this transaction ends, let nobody else complete readings of these devices.
SELECT count(pg_advisory_xact_lock(hashtext('readings'), device_id))
FROM (SELECT device_id FROM unnest(:device_ids::integer[]) AS d (device_id) ORDER BY device_id) AS d;

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
