-- What a site writes for the others, and what it knows of them.

-- name: next_hlc()$
-- The time of what is written next, as sites tell it; null where there are no other sites.
SELECT next_hlc() FROM site;

-- name: send_datapoints(hlc, device_ids, sensor_counts, time_counts, sensor_ids, times, raws, values, calibration_ids, keys)!
-- Let the other sites have rows that are stored; in the transaction that stores them. Their keys are folded into blocks.
-- Null values are the raws; `keys` are those of the rows, packed, and null where nothing has arrived but was computed anew.
INSERT INTO outbox (hlc, device_ids, sensor_counts, time_counts, sensor_ids, times, raws, values, calibration_ids, keys)
VALUES (
    :hlc,
    :device_ids::integer[],
    :sensor_counts::integer[],
    :time_counts::integer[],
    :sensor_ids::integer[],
    :times::timestamptz[],
    :raws::double precision[],
    :values::double precision[],
    :calibration_ids::integer[],
    :keys::bytea
);

-- name: site()^
-- Which site this is, of how many; no row: there are no sites.
SELECT id, sites FROM site;

-- name: site_conditions()^
-- What a server must be for sites.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('wal_level') AS wal_level,
    current_setting('max_slot_wal_keep_size') AS kept,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser;

-- name: insert_site(id, sites)!
-- Make this a site.
INSERT INTO site (id, sites) VALUES (:id, :sites) ON CONFLICT DO NOTHING;

-- name: delete_replicated_tables()!
-- Forget which tables sites share, to be told anew.
DELETE FROM replicated_tables;

-- name: insert_replicated_table(name, key, local_columns, faint_columns, yielding)!
-- Share a table with other sites; map_site has to follow.
INSERT INTO replicated_tables (name, key, local_columns, faint_columns, yielding)
VALUES (:name, :key::text[], :local_columns::text[], :faint_columns::text[], :yielding);

-- name: map_site()$
-- Make triggers and sequences as the shared tables need them.
SELECT map_site();

-- name: unmap_site()$
-- Undo that, and be no site any more.
SELECT unmap_site();

-- name: site_peers()
-- The other sites, and how this one reaches their databases.
SELECT substr(subname, length('almanac_from_') + 1)::integer AS id, subconninfo AS url
FROM pg_subscription
WHERE starts_with(subname, 'almanac_from_') AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY id;

-- name: site_lags()
-- How far each other site is behind this one: bytes of the log, and seconds since the oldest write that it lacks. The log
-- for it may be `lost`: it was away for too long.
SELECT
    substr(s.slot_name, length('almanac_to_') + 1)::integer AS id,
    s.active,
    coalesce(s.wal_status = 'lost', false) AS lost,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn), 0)::bigint AS bytes,
    coalesce(extract(epoch FROM clock_timestamp() - least(
        (SELECT min(written_at) FROM outbox WHERE lsn >= s.confirmed_flush_lsn),
        (SELECT min(written_at) FROM changes WHERE lsn >= s.confirmed_flush_lsn)
    )), 0)::float8 AS seconds
FROM pg_replication_slots AS s
WHERE starts_with(s.slot_name, 'almanac_to_') AND s.database = current_database()
ORDER BY id;

-- name: site_receiving(id)$
-- Whether what another site sends is being received.
SELECT EXISTS (SELECT FROM pg_stat_subscription WHERE subname = 'almanac_from_' || :id::integer AND pid IS NOT NULL);

-- name: log_position()$
-- Where the server's log has come to.
SELECT pg_current_wal_lsn()::text;

-- name: site_has_confirmed(id, position)$
-- Whether another site has all that was written up to a place in this server's log.
SELECT confirmed_flush_lsn >= :position::pg_lsn
FROM pg_replication_slots
WHERE slot_name = 'almanac_to_' || :id::integer AND database = current_database();

-- name: drop_slot(id)$
-- Keep nothing any more for another site.
SELECT pg_drop_replication_slot(slot_name)
FROM pg_replication_slots
WHERE slot_name = 'almanac_to_' || :id::integer AND database = current_database();

-- name: site_is_empty()$
-- Whether nobody has an account here, and there is no datapoint.
SELECT NOT EXISTS (SELECT FROM users) AND NOT EXISTS (SELECT FROM datapoints);

-- name: merge_as_replica()$
-- Let this transaction write as what replication brings: not sent on, and not checked against what is still to come.
SELECT set_config('session_replication_role', 'replica', true);

-- name: rows_of(table_name)
-- Every row of a shared table with the time of its last write; no content: deleted.
SELECT hlc, key::text AS key, content::text AS content FROM rows_of(:table_name);

-- name: hashes_of_rows(table_name)
-- Every row of a shared table as a number.
SELECT key::text AS key, hashtextextended(hlc || coalesce(content::text, ''), 0) AS hash FROM rows_of(:table_name);

-- name: rows_by_keys(table_name, keys)
-- These rows of a shared table.
SELECT hlc, key::text AS key, content::text AS content FROM rows_of(:table_name) WHERE key = ANY(:keys::text[]::jsonb[]);

-- name: merge_rows(table_name, hlcs, keys, contents)$
-- Merge rows of a shared table that another site has.
SELECT count(merge_change(ROW(r.hlc, now(), '0/0'::pg_lsn, :table_name, r.key::jsonb, r.content::jsonb, NULL::jsonb)::changes))
FROM unnest(:hlcs::bigint[], :keys::text[], :contents::text[]) AS r (hlc, key, content);

-- name: kept_from(device_id)$
-- From when on a device's datapoints are kept here; those before it are gone, or go with the next run of a job.
SELECT greatest(
    '0001-01-01 00:00:00+00',
    now() - (SELECT datapoints_kept_for FROM ingest_version),
    (
        SELECT date_trunc('day', now() - u.datapoints_kept_for, 'UTC')
        FROM devices AS d
        JOIN users AS u ON u.id = d.owner_id
        WHERE d.id = :device_id
    )
);

-- name: hashes_of_hours(device_id, start, before)
-- The datapoints of a device by hour, each hour as a number; of those from a time on, written before another.
SELECT
    date_trunc('hour', time, 'UTC') AS hour,
    bit_xor(hash_record_extended((sensor_id, time, raw, value, calibration_id, coalesce(hlc, 0)), 0)) AS hash
FROM datapoints
WHERE device_id = :device_id AND time >= :start AND coalesce(hlc, 0) < :before
GROUP BY hour
ORDER BY hour;

-- name: datapoints_to_send(device_id, start, before, sensor_id, time, most)^
-- Datapoints of a device between two times, those after a sensor's at a time, at most so many; null arrays: none.
SELECT
    array_agg(coalesce(hlc, 0)) AS hlcs,
    array_agg(sensor_id) AS sensor_ids,
    array_agg(time) AS times,
    array_agg(coalesce(raw, 'NaN')) AS raws,
    array_agg(coalesce(value, 'NaN')) AS values,
    array_agg(coalesce(calibration_id, 0)) AS calibration_ids
FROM (
    SELECT hlc, sensor_id, time, raw, value, calibration_id
    FROM datapoints
    WHERE
        device_id = :device_id
        AND time >= :start
        AND time < :before
        AND (sensor_id, time) > (:sensor_id, :time)
    ORDER BY sensor_id, time
    LIMIT :most
) AS d;

-- name: device_ids()$
-- Every device.
SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM devices;

-- name: merge_datapoints(hlcs, device_ids, sensor_ids, times, raws, values, calibration_ids)$
-- Merge datapoints that another site has; returns how many were later than what is here.
SELECT merge_datapoints(
    :hlcs::bigint[],
    :device_ids::integer[],
    :sensor_ids::integer[],
    :times::timestamptz[],
    :raws::double precision[],
    :values::double precision[],
    :calibration_ids::integer[]
);

-- name: send_pending_changes()!
-- Send what this site has to say because of something that it received.
WITH sent AS (
    DELETE FROM pending_changes RETURNING hlc, table_name, key, content, given_up
)
INSERT INTO changes (hlc, table_name, key, content, given_up)
SELECT hlc, table_name, key, content, given_up FROM sent ORDER BY hlc;

-- name: prune_outbox()!
-- Drop the datapoints that every other site has; one that was away for too long heals by a comparison.
DELETE FROM outbox
WHERE lsn < coalesce(
    (SELECT min(confirmed_flush_lsn) FROM pg_replication_slots WHERE starts_with(slot_name, 'almanac_to_') AND wal_status <> 'lost'),
    pg_current_wal_lsn()
);

-- name: prune_changes()!
-- Drop the rows that every other site has.
DELETE FROM changes
WHERE lsn < coalesce(
    (SELECT min(confirmed_flush_lsn) FROM pg_replication_slots WHERE starts_with(slot_name, 'almanac_to_') AND wal_status <> 'lost'),
    pg_current_wal_lsn()
);

-- name: delete_old_tombstones()!
-- Forget deletions of 90 days ago: whoever was away for longer brings such rows back.
DELETE FROM row_versions WHERE gone AND hlc < ((wall_clock() - 90 * 86400 * 1000000::bigint) << 8);

-- name: account_changes_to_tell()
-- Accounts of this site that had to give up a name or an address, as they are now.
SELECT c.user_id, c.field, c.given_up, u.username, u.email
FROM account_changes_to_tell AS c
JOIN users AS u ON u.id = c.user_id
ORDER BY c.user_id, c.field;

-- name: delete_account_change_to_tell(user_id, field)!
-- Somebody has been told.
DELETE FROM account_changes_to_tell WHERE user_id = :user_id AND field = :field;
