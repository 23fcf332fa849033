-- What devices say is wrong with them.

-- name: store_device_errors(device_ids, components, codes, times, messages)!
-- Count errors by component, code and hour. A time that was counted is not counted again, as after a redelivery; one
-- that comes back after it was resolved is open again.
WITH said AS (
    SELECT DISTINCT ON (e.device_id, coalesce(c.key, e.component), e.code, e.time)
        e.device_id,
        coalesce(c.key, e.component) AS component,
        e.code,
        date_trunc('hour', e.time, 'UTC') AS hour,
        e.time,
        e.message
    FROM unnest(:device_ids::integer[], :components::text[], :codes::text[], :times::timestamptz[], :messages::text[])
        AS e (device_id, component, code, time, message)
    LEFT JOIN components AS c ON c.device_id = e.device_id AND c.sensor_id::text = e.component
    ORDER BY e.device_id, coalesce(c.key, e.component), e.code, e.time
)
INSERT INTO device_errors AS d (device_id, component, code, hour, message, count, first_time, last_time)
SELECT
    s.device_id,
    s.component,
    s.code,
    s.hour,
    (array_agg(s.message ORDER BY s.time DESC))[1],
    count(*),
    min(s.time),
    max(s.time)
FROM said AS s
LEFT JOIN device_errors AS known
    ON known.device_id = s.device_id
    AND known.component IS NOT DISTINCT FROM s.component
    AND known.code = s.code
    AND known.hour = s.hour
WHERE known.last_time IS NULL OR known.last_time < s.time
GROUP BY s.device_id, s.component, s.code, s.hour
ORDER BY s.device_id, s.component, s.code, s.hour
ON CONFLICT (device_id, coalesce(component, ''), code, hour) DO UPDATE
SET
    message = excluded.message,
    count = d.count + excluded.count,
    first_time = least(d.first_time, excluded.first_time),
    last_time = greatest(d.last_time, excluded.last_time),
    received_at = now(),
    resolved_at = NULL,
    resolved_by = NULL;

-- name: device_errors_listed(device_id, open, component, code, limit, offset)
-- A device's errors, the latest first; what is null does not limit them.
SELECT id, component, code, message, count, first_time, last_time, received_at, resolved_at
FROM device_errors
WHERE
    device_id = :device_id
    AND (:open::boolean IS NULL OR (resolved_at IS NULL) = :open)
    AND (:component::text IS NULL OR component = :component)
    AND (:code::text IS NULL OR code = :code)
ORDER BY last_time DESC, id DESC
LIMIT :limit OFFSET :offset;

-- name: device_errors_total(device_id, open, component, code)$
-- How many rows that list has.
SELECT count(*)
FROM device_errors
WHERE
    device_id = :device_id
    AND (:open::boolean IS NULL OR (resolved_at IS NULL) = :open)
    AND (:component::text IS NULL OR component = :component)
    AND (:code::text IS NULL OR code = :code);

-- name: resolve_device_errors(device_id, ids, user_id)
-- Resolve those of these errors that are the device's, and return the ids of them all; what was resolved stays as it was.
UPDATE device_errors
SET resolved_at = coalesce(resolved_at, now()), resolved_by = CASE WHEN resolved_at IS NULL THEN :user_id ELSE resolved_by END
WHERE device_id = :device_id AND id = ANY(:ids::bigint[])
RETURNING id;

-- name: delete_old_device_errors()!
-- Drop what has not come again for 90 days.
DELETE FROM device_errors WHERE last_time < now() - INTERVAL '90 days';
