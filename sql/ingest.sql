-- The way of a batch into the database, in the order in which a batch runs these.

-- name: ingest_version()^
-- Moves when something does that ingestors remember; the age from which on datapoints are not taken, null for none; and
-- whether there are other sites.
SELECT version, datapoints_kept_for, EXISTS (SELECT FROM site) AS has_sites FROM ingest_version;

-- name: device_ids_of_tokens(hashes)
-- Which device each valid token belongs to, by the token's SHA-256.
SELECT hash, device_id, expires_at FROM valid_device_tokens WHERE hash = ANY(:hashes::bytea[]);

-- name: existing_sensors(ids)
-- Which of these sensor ids exist.
SELECT id FROM sensors WHERE id = ANY(:ids::integer[]);

-- name: sensors_by_key(device_ids, keys)
-- What a key means on a device: the device's own component first, else every sensor with that default key.
SELECT
    r.device_id,
    r.key,
    CASE WHEN c.sensor_id IS NULL THEN array_agg(s.id ORDER BY s.id) ELSE ARRAY[c.sensor_id] END AS sensor_ids
FROM unnest(:device_ids::integer[], :keys::text[]) AS r (device_id, key)
LEFT JOIN components AS c ON c.device_id = r.device_id AND c.key = r.key
LEFT JOIN sensors AS s ON s.default_key = r.key
WHERE c.sensor_id IS NOT NULL OR s.id IS NOT NULL
GROUP BY r.device_id, r.key, c.sensor_id;

-- name: hold_rollup_horizon()^
-- Keep the horizon where it is until this transaction ends, so that what it writes below it is marked; and calibrations
-- as they are: `calibrations` is their number, which moves with each that is added, `recalibrating` whether redos run.
SELECT horizon, calibrations, recalibrating FROM rollup_horizon FOR SHARE;

-- name: insert_missing_components(device_ids, sensor_ids)!
-- Make the components that these (device, sensor) pairs lack. The key is the one that the device's kit gives, else the
-- sensor's default key, with `_2`, `_3`, … only where the device has another sensor of that default key; where another
-- component has got that key, or the sensor has none, it is `sensor_<id>`, which nobody can give.
WITH missing AS (
    SELECT d.id AS device_id, s.id AS sensor_id, s.default_key, k.key AS given_key, k.interval
    FROM (
        SELECT DISTINCT device_id, sensor_id
        FROM unnest(:device_ids::integer[], :sensor_ids::integer[]) AS u (device_id, sensor_id)
    ) AS pair
    JOIN devices AS d ON d.id = pair.device_id
    JOIN sensors AS s ON s.id = pair.sensor_id
    LEFT JOIN kit_components AS k ON k.kit_id = d.kit_id AND k.sensor_id = s.id
    WHERE NOT EXISTS (SELECT FROM components AS c WHERE c.device_id = d.id AND c.sensor_id = s.id)
),
numbered AS (
    SELECT
        m.*,
        row_number() OVER (PARTITION BY m.device_id, m.default_key ORDER BY m.sensor_id) + (
            SELECT count(*)
            FROM components AS c
            JOIN sensors AS other ON other.id = c.sensor_id
            WHERE c.device_id = m.device_id AND other.default_key = m.default_key
        ) AS position
    FROM missing AS m
),
named AS (
    SELECT
        n.*,
        coalesce(n.given_key, n.default_key || CASE WHEN n.position = 1 THEN '' ELSE '_' || n.position END) AS key
    FROM numbered AS n
),
claimed AS (
    SELECT
        n.*,
        row_number() OVER (PARTITION BY n.device_id, n.key ORDER BY n.given_key NULLS LAST, n.sensor_id) AS claim
    FROM named AS n
)
INSERT INTO components (device_id, sensor_id, key, interval)
SELECT
    n.device_id,
    n.sensor_id,
    CASE
        WHEN
            n.key IS NOT NULL
            AND n.claim = 1
            AND NOT EXISTS (SELECT FROM components AS c WHERE c.device_id = n.device_id AND c.key = n.key)
            THEN n.key
        ELSE 'sensor_' || n.sensor_id
    END,
    n.interval
FROM claimed AS n
ORDER BY n.device_id, n.sensor_id
ON CONFLICT (device_id, sensor_id) DO NOTHING;

-- name: store_datapoints(device_ids, sensor_ids, times, raws, values, calibration_ids, hlc)^
-- Store rows, in the order of their keys and none with another's, and return the keys of those that changed something.
-- The newest write of a key wins, and one that says the same again writes nothing at all. The clock `hlc` is null where
-- there are no other sites.
WITH stored AS (
    INSERT INTO datapoints AS d (device_id, sensor_id, time, raw, value, calibration_id, hlc)
    SELECT device_id, sensor_id, time, raw, nullif(value, 'NaN'), nullif(calibration_id, 0), :hlc::bigint
    FROM unnest(
        :device_ids::integer[],
        :sensor_ids::integer[],
        :times::timestamptz[],
        :raws::double precision[],
        :values::double precision[],
        :calibration_ids::integer[]
    ) AS r (device_id, sensor_id, time, raw, value, calibration_id)
    ON CONFLICT (device_id, sensor_id, time) DO UPDATE
    SET raw = excluded.raw, value = excluded.value, calibration_id = excluded.calibration_id, hlc = excluded.hlc
    WHERE
        (d.raw, d.value, d.calibration_id) IS DISTINCT FROM (excluded.raw, excluded.value, excluded.calibration_id)
        AND coalesce(excluded.hlc > d.hlc, true)
    RETURNING device_id, sensor_id, time
)
SELECT
    coalesce(array_agg(device_id), '{}') AS device_ids,
    coalesce(array_agg(sensor_id), '{}') AS sensor_ids,
    coalesce(array_agg(time), '{}') AS times
FROM stored;

-- name: mark_late_days(device_ids, days)!
-- Remember which days of which devices were written below the horizon.
INSERT INTO rollup_dirty AS r (device_id, day)
SELECT device_id, day
FROM unnest(:device_ids::integer[], :days::date[]) AS n (device_id, day)
ORDER BY device_id, day
ON CONFLICT (device_id, day) DO UPDATE SET refreshing = false;

-- name: move_latest_values(device_ids, sensor_ids, times, raws, values, previous_times, previous_values)!
-- Latest values of components only move forward in time; previous_time is that of the reading before in the same batch,
-- or the time itself where there is none. Call it after touch_devices, which locks the devices: two batches then cannot
-- meet here, whatever the order of the rows.
UPDATE components AS c
SET
    latest_time = n.time,
    latest_raw = n.raw,
    latest_value = nullif(n.value, 'NaN'),
    previous_value = CASE
        WHEN n.previous_time < n.time AND (c.latest_time IS NULL OR c.latest_time <= n.previous_time) THEN nullif(n.previous_value, 'NaN')
        WHEN c.latest_time = n.time THEN c.previous_value
        ELSE c.latest_value
    END
FROM unnest(
    :device_ids::integer[],
    :sensor_ids::integer[],
    :times::timestamptz[],
    :raws::double precision[],
    :values::double precision[],
    :previous_times::timestamptz[],
    :previous_values::double precision[]
) AS n (device_id, sensor_id, time, raw, value, previous_time, previous_value)
WHERE c.device_id = n.device_id AND c.sensor_id = n.sensor_id AND (c.latest_time IS NULL OR c.latest_time <= n.time);

-- name: hold_devices(device_ids)
-- Keep devices from others until the transaction ends, in the order in which all others take devices.
SELECT id FROM devices WHERE id = ANY(:device_ids::integer[]) ORDER BY id FOR NO KEY UPDATE;

-- name: touch_devices(device_ids, first_times, times, lates)!
-- Note a device's first and newest reading, and that its data has changed; `late` is 1 where some of that is below the horizon.
WITH heard AS (
    SELECT d.id, n.first_time, n.time, n.late
    FROM devices AS d
    JOIN unnest(
        :device_ids::integer[], :first_times::timestamptz[], :times::timestamptz[], :lates::integer[]
    ) AS n (device_id, first_time, time, late) ON n.device_id = d.id
    ORDER BY d.id
    FOR NO KEY UPDATE OF d
)
UPDATE devices AS d
SET
    first_reading_at = least(d.first_reading_at, h.first_time),
    last_reading_at = greatest(d.last_reading_at, h.time),
    last_received_at = CASE WHEN d.last_reading_at >= h.time THEN d.last_received_at ELSE now() END,
    data_version = d.data_version + 1,
    late_version = d.late_version + h.late
FROM heard AS h
WHERE d.id = h.id;

-- name: insert_quarantine(device_ids, token_hashes, topics, payloads, reasons, details)!
-- Keep what could not be stored; the same again, as after a redelivery, is kept once.
INSERT INTO quarantine (device_id, token_hash, topic, payload, reason, detail)
SELECT *
FROM unnest(:device_ids::integer[], :token_hashes::bytea[], :topics::text[], :payloads::bytea[], :reasons::text[], :details::text[])
ON CONFLICT DO NOTHING;

-- name: update_hardware_info(device_ids, infos)!
-- Keep the last info message of each device.
WITH told AS (
    SELECT d.id, i.info
    FROM devices AS d
    JOIN unnest(:device_ids::integer[], :infos::jsonb[]) AS i (device_id, info) ON i.device_id = d.id
    ORDER BY d.id
    FOR NO KEY UPDATE OF d
)
UPDATE devices AS d SET hardware_info = t.info FROM told AS t WHERE d.id = t.id;

-- name: insert_inventory(reports)!
-- Keep factory test reports; null stands for one that was no JSON object.
INSERT INTO device_inventory (report) SELECT * FROM unnest(:reports::jsonb[]);

-- name: note_token_use(hashes)!
-- Write down that these tokens are in use; one that another ingestor is just writing down is left to it.
UPDATE device_tokens
SET last_used_at = now()
WHERE id IN (
    SELECT id FROM device_tokens WHERE hash = ANY(:hashes::bytea[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
);
