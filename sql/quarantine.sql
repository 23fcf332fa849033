-- What could not be stored as datapoints.

-- name: delete_old_quarantine()!
-- Drop what has been kept for 90 days.
DELETE FROM quarantine WHERE received_at < now() - INTERVAL '90 days';

-- name: quarantine_listed(viewer_id, viewer_is_admin, device_id, reason, limit, offset)
-- What the viewer may see of the quarantine, the newest first; an admin sees what is nobody's too.
SELECT id, received_at, device_id, topic, reason, detail, left(encode(payload, 'escape'), 500) AS payload, length(payload) AS size
FROM quarantine_of_devices
WHERE
    (:viewer_is_admin OR owner_id = :viewer_id)
    AND (:device_id::integer IS NULL OR device_id = :device_id)
    AND (:reason::text IS NULL OR reason = :reason)
ORDER BY id DESC
LIMIT :limit OFFSET :offset;

-- name: quarantine_total(viewer_id, viewer_is_admin, device_id, reason)$
-- How many rows that list has.
SELECT count(*)
FROM quarantine_of_devices
WHERE
    (:viewer_is_admin OR owner_id = :viewer_id)
    AND (:device_id::integer IS NULL OR device_id = :device_id)
    AND (:reason::text IS NULL OR reason = :reason);

-- name: quarantine_by_ids(viewer_id, viewer_is_admin, ids)
-- Those of these rows that the viewer may see, the oldest first.
SELECT id, received_at, device_id, topic, reason, detail, payload
FROM quarantine_of_devices
WHERE id = ANY(:ids::bigint[]) AND (:viewer_is_admin OR owner_id = :viewer_id)
ORDER BY id;

-- name: keep_devices(device_ids)
-- Let none of these devices be deleted before the transaction ends. Call it before hold_quarantine: a deletion, too, takes
-- the device first and then what is in quarantine of it.
SELECT id FROM devices WHERE id = ANY(:device_ids::integer[]) ORDER BY id FOR KEY SHARE;

-- name: hold_quarantine(ids)
-- Keep others from releasing the same rows until this transaction ends; return those that are still there.
SELECT id FROM quarantine WHERE id = ANY(:ids::bigint[]) ORDER BY id FOR UPDATE;

-- name: delete_quarantine(ids)!
-- Drop rows.
DELETE FROM quarantine WHERE id = ANY(:ids::bigint[]);
