-- Archive, restore, purge and hand over devices.

-- name: archive_device(id)!
-- Put a device in the trash: nobody sees it and nothing is taken from it.
UPDATE devices SET archived_at = now() WHERE id = :id AND archived_at IS NULL;

-- name: hold_device(id)^
-- Keep a device from others until the transaction ends: of its restoring and its deletion only one can begin. What it is
-- by then, a query after this one says.
SELECT id FROM devices WHERE id = :id FOR NO KEY UPDATE;

-- name: archived_device(id)^
-- One device in the trash that is not being purged.
SELECT d.*
FROM devices AS d
WHERE d.id = :id AND d.archived_at IS NOT NULL AND NOT EXISTS (SELECT FROM device_purges AS p WHERE p.device_id = d.id);

-- name: archived_devices(owner_id)
-- What somebody has in the trash, the newest first.
SELECT d.id, d.uuid, d.name, d.archived_at
FROM devices AS d
WHERE
    d.owner_id = :owner_id
    AND d.archived_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM device_purges AS p WHERE p.device_id = d.id)
ORDER BY d.archived_at DESC, d.id;

-- name: restore_device(id)!
-- Take a device out of the trash, with its MAC address unless another device has it by now.
UPDATE devices AS d
SET
    archived_at = NULL,
    mac_address = CASE
        WHEN NOT EXISTS (SELECT FROM devices AS o WHERE o.mac_address = d.mac_address AND o.archived_at IS NULL)
            THEN d.mac_address
    END
WHERE d.id = :id;

-- name: insert_purge(device_id, owner_id)!
-- Ask for a device's deletion; a second time changes nothing.
INSERT INTO device_purges (device_id, owner_id) VALUES (:device_id, :owner_id) ON CONFLICT (device_id) DO NOTHING;

-- name: insert_purges_due(days)!
-- Ask for the deletion of what has been in the trash for so many days.
INSERT INTO device_purges (device_id, owner_id)
SELECT id, owner_id
FROM (
    SELECT id, owner_id
    FROM devices
    WHERE archived_at < now() - :days * interval '1 day'
    ORDER BY id
    FOR NO KEY UPDATE
) AS due
ON CONFLICT (device_id) DO NOTHING;

-- name: purge_of_device(device_id)^
-- How far a device's deletion has come.
SELECT * FROM device_purges WHERE device_id = :device_id;

-- name: unfinished_purges()
-- The devices whose deletion has been asked for and is not done, the oldest first.
SELECT device_id FROM device_purges WHERE finished_at IS NULL ORDER BY requested_at, device_id;

-- name: start_purge(device_id)!
-- Say that a device's deletion has begun.
UPDATE device_purges SET started_at = coalesce(started_at, now()) WHERE device_id = :device_id;

-- name: days_of_datapoints(device_id)^
-- The first and the last UTC day of a device's datapoints, or null twice; its components may be gone already.
SELECT
    (min(c.first) AT TIME ZONE 'UTC')::date AS first_day,
    (max(c.last) AT TIME ZONE 'UTC')::date AS last_day
FROM (
    SELECT
        (SELECT d.time FROM datapoints AS d WHERE (d.device_id, d.sensor_id) = (:device_id, k.id) ORDER BY d.time LIMIT 1) AS first,
        (SELECT d.time FROM datapoints AS d WHERE (d.device_id, d.sensor_id) = (:device_id, k.id) ORDER BY d.time DESC LIMIT 1) AS last
    FROM sensors AS k
) AS c;

-- name: delete_datapoints(device_id, first_day, end_day, percent)!
-- Delete a device's datapoints of the days from first_day to the one before end_day, and say how far that is.
WITH deleted AS (
    SELECT delete_datapoints_of(
        :device_id, :first_day::timestamp AT TIME ZONE 'UTC', :end_day::timestamp AT TIME ZONE 'UTC'
    ) AS datapoints
)
UPDATE device_purges
SET percent = :percent, datapoints = device_purges.datapoints + deleted.datapoints
FROM deleted
WHERE device_id = :device_id;

-- name: delete_device(id)!
-- Delete an archived device and all that belongs to it.
DELETE FROM devices WHERE id = :id AND archived_at IS NOT NULL;

-- name: finish_purge(device_id)!
-- Say that a device is gone for good.
UPDATE device_purges SET percent = 100, finished_at = now() WHERE device_id = :device_id;

-- name: delete_old_purges()!
-- Forget the purges that were finished 30 days ago.
DELETE FROM device_purges WHERE finished_at < now() - interval '30 days';

-- name: upsert_transfer(device_id, hash, days)$
-- Offer a device to whoever has a token, instead of to whom it was offered before; returns when the offer ends.
INSERT INTO device_transfers (device_id, hash, expires_at)
VALUES (:device_id, :hash, now() + :days * interval '1 day')
ON CONFLICT (device_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at, created_at = now()
RETURNING expires_at;

-- name: delete_transfer(device_id)!
-- Take an offer back.
DELETE FROM device_transfers WHERE device_id = :device_id;

-- name: hold_offered_device(hash)^
-- Keep the device of an offer from others until the transaction ends; call it before take_transfer.
SELECT d.id FROM devices AS d JOIN device_transfers AS t ON t.device_id = d.id WHERE t.hash = :hash FOR NO KEY UPDATE OF d;

-- name: take_transfer(hash)$
-- Use up the token of an offer that stands, and return its device.
DELETE FROM device_transfers AS t
USING devices AS d
WHERE t.hash = :hash AND t.expires_at > now() AND d.id = t.device_id AND d.archived_at IS NULL
RETURNING t.device_id;

-- name: set_owner(id, owner_id)!
-- Give a device another owner; a roll-out reaches it no more, unless it is an admin's.
WITH left_behind AS (
    DELETE FROM config_rollout_devices AS r
    USING config_rollouts AS o
    JOIN users AS u ON u.id = o.owner_id
    WHERE r.device_id = :id AND o.id = r.rollout_id AND u.role <> 'admin'
)
UPDATE devices SET owner_id = :owner_id, enable_forwarding = false, updated_at = now() WHERE id = :id;

-- name: delete_old_transfers()!
-- Forget the offers that have ended.
DELETE FROM device_transfers WHERE expires_at < now();
