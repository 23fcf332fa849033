-- What was written when, for those who follow the datapoints.

-- name: insert_arrival(device_ids, keys, datapoints, horizon)!
-- Note which datapoints this transaction has changed: their devices, and their keys, packed.
INSERT INTO arrivals AS a (device_ids, keys, datapoints, horizon)
VALUES (:device_ids::integer[], ARRAY[:keys::bytea], :datapoints, :horizon)
ON CONFLICT (xid) DO UPDATE
SET
    device_ids = a.device_ids || excluded.device_ids,
    keys = a.keys || excluded.keys,
    datapoints = a.datapoints + excluded.datapoints;

-- name: current_snapshot()$
-- The position of who has seen everything up to now.
SELECT pg_current_snapshot()::text;

-- name: is_remembered(seen)$
-- Whether everything that this position lacks is still here; no, where the position is from another server.
SELECT pg_visible_in_snapshot(f.xid, :seen::pg_snapshot) AND pg_snapshot_xmax(:seen::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot())
FROM arrivals_forgotten AS f;

-- name: arrivals_since(seen, device_ids, most_arrivals, most_datapoints)
-- What a position lacks, in the order of transactions, of these devices where `device_ids` is not null; each row with
-- the snapshot in which this is all. At least one row, whose `xid` is null where nothing is lacking.
SELECT now.snapshot::text AS snapshot, a.xid::text::bigint AS xid, a.arrived_at, a.horizon, a.datapoints, a.keys
FROM (SELECT pg_current_snapshot() AS snapshot) AS now
LEFT JOIN LATERAL (
    SELECT page.*, sum(page.datapoints) OVER (ORDER BY page.xid) - page.datapoints AS datapoints_before
    FROM (
        SELECT *
        FROM arrivals
        WHERE
            xid >= pg_snapshot_xmin(:seen::pg_snapshot)
            AND xid < pg_snapshot_xmax(now.snapshot)
            AND NOT pg_visible_in_snapshot(xid, :seen::pg_snapshot)
            AND (:device_ids::integer[] IS NULL OR device_ids && :device_ids::integer[])
        ORDER BY xid
        LIMIT :most_arrivals
    ) AS page
) AS a ON a.datapoints_before < :most_datapoints
ORDER BY a.xid;

-- name: datapoints_of_keys(device_ids, sensor_ids, times, first_time, last_time)
-- The datapoints with these keys as they are now, each with its place in the list; those that are gone are left out.
SELECT k.place, d.value, d.raw, c.key, s.measurement_id
FROM unnest(:device_ids::integer[], :sensor_ids::integer[], :times::timestamptz[]) WITH ORDINALITY AS k (device_id, sensor_id, time, place)
JOIN datapoints AS d USING (device_id, sensor_id, time)
JOIN components AS c USING (device_id, sensor_id)
JOIN sensors AS s ON s.id = k.sensor_id
WHERE d.time BETWEEN :first_time AND :last_time
ORDER BY k.place;

-- name: delete_old_arrivals(kept_for)!
-- Forget what arrived longer ago than an interval, and remember up to where that was.
WITH gone AS (
    DELETE FROM arrivals WHERE arrived_at < now() - :kept_for::interval RETURNING xid
)
UPDATE arrivals_forgotten AS f SET xid = greatest(f.xid, (SELECT max(xid) FROM gone)) WHERE EXISTS (SELECT FROM gone);

-- name: live_devices(ids)
-- Whose these devices are, who may see them, and where they are as far as everybody may know.
SELECT id, owner_id, is_private, latitude, longitude
FROM devices
WHERE id = ANY(:ids::integer[]) AND archived_at IS NULL
ORDER BY id;

-- name: users_of_sessions(ids)
-- The users of those sessions that have not ended.
SELECT s.id AS session_id, u.id, u.role
FROM sessions AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.id = ANY(:ids::uuid[]) AND s.revoked_at IS NULL AND s.expires_at > now() AND u.archived_at IS NULL
ORDER BY s.id;

-- name: users_of_private_tokens(ids)
-- The users of those private tokens that are valid.
SELECT t.id AS token_id, u.id, u.role
FROM private_tokens AS t
JOIN users AS u ON u.id = t.user_id
WHERE
    t.id = ANY(:ids::integer[])
    AND t.revoked_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > now())
    AND u.archived_at IS NULL
ORDER BY t.id;

-- name: live_users(ids)
-- Those of these users whose account is open.
SELECT id, role FROM users WHERE id = ANY(:ids::integer[]) AND archived_at IS NULL ORDER BY id;
