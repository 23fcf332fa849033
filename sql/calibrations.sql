-- Versions of calibration equations.

-- name: calibrations_in_force(device_ids, sensor_ids, earliest, latest)
-- The versions that may bear on datapoints of these devices and sensors between two times, the widest scope first.
SELECT id, sensor_id, kit_id, device_id, equation, valid_from, valid_until
FROM calibration_periods
WHERE
    sensor_id = ANY(:sensor_ids::integer[])
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
