-- Components: the sensors of devices.

-- name: components_listed(viewer_id, viewer_is_admin)
-- The components that a viewer may know of, for lists.
SELECT c.id
FROM components AS c
JOIN devices AS d ON d.id = c.device_id
WHERE d.archived_at IS NULL AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
ORDER BY c.id;

-- name: components_by_ids(ids)
-- These components with what decides who may know of them, in the order of the ids.
SELECT
    c.id,
    c.uuid,
    c.device_id,
    c.sensor_id,
    c.key,
    c.interval,
    c.latest_time AS last_reading_at,
    c.created_at,
    c.updated_at,
    d.owner_id,
    d.is_private
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN components AS c ON c.id = asked.id
JOIN devices AS d ON d.id = c.device_id
WHERE d.archived_at IS NULL
ORDER BY asked.position;

-- name: component_of_sensor(device_id, sensor_id)^
-- A device's component of a sensor, and the time of its latest reading.
SELECT device_id, sensor_id, latest_time FROM components WHERE device_id = :device_id AND sensor_id = :sensor_id;
