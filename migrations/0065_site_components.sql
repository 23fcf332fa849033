-- As in 0061, but for the moment at which foreign keys are no longer minded: before the components are touched. With three
-- sites a component may be here before its device, and one of this transaction's own is checked although nothing of its
-- key changes.

-- Store what is later than what is here, and return how many rows that are. NaN stands for null, and so does a
-- calibration of 0. Two writes of one hlc differ only where somebody has changed rows by hand: the larger wins.
CREATE OR REPLACE FUNCTION merge_datapoints(
    hlcs bigint[],
    of_devices integer[],
    of_sensors integer[],
    at_times timestamptz[],
    raws double precision[],
    processed double precision[],
    by_calibrations integer[]
) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    role text := current_setting('session_replication_role');
    line timestamptz;
    oldest timestamptz := (SELECT now() - datapoints_kept_for FROM ingest_version);
    gone_devices integer[];
    n bigint;
    d integer[];
    s integer[];
    t timestamptz[];
    r double precision[];
    v double precision[];
BEGIN
    PERFORM see_hlc((SELECT max(h) FROM unnest(hlcs) AS h));
    -- The aggregates' own triggers shall see these rows, and a chunk in the columnstore take them.
    PERFORM set_config('session_replication_role', 'origin', true);
    PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);

    SELECT horizon INTO line FROM rollup_horizon FOR SHARE;
    PERFORM pg_advisory_xact_lock(hashtext('readings'), running.device_id)
    FROM (
        SELECT DISTINCT device_id FROM recalibrations WHERE state = 'running' AND device_id = ANY(of_devices) ORDER BY device_id
    ) AS running;
    SELECT coalesce(array_agg((key ->> 'id')::integer), '{}') INTO gone_devices
    FROM row_versions
    WHERE
        table_name = 'devices'
        AND gone
        AND key = ANY(ARRAY(SELECT DISTINCT jsonb_build_object('id', id) FROM unnest(of_devices) AS id));

    WITH stored AS (
        INSERT INTO datapoints AS p (device_id, sensor_id, time, raw, value, calibration_id, hlc)
        SELECT
            a.device_id, a.sensor_id, a.time, nullif(a.raw, 'NaN'), nullif(a.value, 'NaN'), nullif(a.calibration_id, 0),
            nullif(a.hlc, 0)
        FROM unnest(of_devices, of_sensors, at_times, raws, processed, by_calibrations, hlcs)
            AS a (device_id, sensor_id, time, raw, value, calibration_id, hlc)
        WHERE a.device_id <> ALL(gone_devices) AND (oldest IS NULL OR a.time >= oldest)
        ORDER BY a.device_id, a.sensor_id, a.time
        ON CONFLICT (device_id, sensor_id, time) DO UPDATE
        SET raw = excluded.raw, value = excluded.value, calibration_id = excluded.calibration_id, hlc = excluded.hlc
        WHERE
            (
                coalesce(excluded.hlc, 0),
                coalesce(excluded.raw, '-infinity'),
                coalesce(excluded.value, '-infinity'),
                coalesce(excluded.calibration_id, 0)
            ) > (
                coalesce(p.hlc, 0),
                coalesce(p.raw, '-infinity'),
                coalesce(p.value, '-infinity'),
                coalesce(p.calibration_id, 0)
            )
        RETURNING device_id, sensor_id, time, raw, value
    )
    SELECT count(*), array_agg(device_id), array_agg(sensor_id), array_agg(time), array_agg(raw), array_agg(value)
    INTO n, d, s, t, r, v
    FROM stored;
    PERFORM set_config('session_replication_role', role, true);

    -- What follows is that of touch_devices, move_latest_values and mark_late_days in sql/ingest.sql.
    WITH heard AS (
        SELECT w.id, h.first_time, h.last_time, h.late
        FROM (
            SELECT device_id, min(time) AS first_time, max(time) AS last_time, bool_or(time < line)::integer AS late
            FROM unnest(d, t) AS a (device_id, time)
            GROUP BY device_id
        ) AS h
        JOIN devices AS w ON w.id = h.device_id
        ORDER BY w.id
        FOR NO KEY UPDATE OF w
    )
    UPDATE devices AS w
    SET
        first_reading_at = least(w.first_reading_at, h.first_time),
        last_reading_at = greatest(w.last_reading_at, h.last_time),
        last_received_at = CASE WHEN w.last_reading_at >= h.last_time THEN w.last_received_at ELSE now() END,
        data_version = w.data_version + 1,
        late_version = w.late_version + h.late
    FROM heard AS h
    WHERE w.id = h.id;

    UPDATE components AS c
    SET
        latest_time = a.time,
        latest_raw = a.raw,
        latest_value = a.value,
        previous_value = CASE
            WHEN c.latest_time IS NULL OR c.latest_time <= a.previous_time THEN a.previous_value
            WHEN c.latest_time = a.time THEN c.previous_value
            ELSE c.latest_value
        END
    FROM (
        SELECT DISTINCT ON (device_id, sensor_id)
            device_id,
            sensor_id,
            time,
            raw,
            value,
            lag(time) OVER readings AS previous_time,
            lag(value) OVER readings AS previous_value
        FROM unnest(d, s, t, r, v) AS u (device_id, sensor_id, time, raw, value)
        WINDOW readings AS (PARTITION BY device_id, sensor_id ORDER BY time)
        ORDER BY device_id, sensor_id, time DESC
    ) AS a
    WHERE c.device_id = a.device_id AND c.sensor_id = a.sensor_id AND (c.latest_time IS NULL OR c.latest_time <= a.time);

    INSERT INTO rollup_dirty AS m (device_id, day)
    SELECT DISTINCT a.device_id, (a.time AT TIME ZONE 'UTC')::date
    FROM unnest(d, t) AS a (device_id, time)
    JOIN devices AS w ON w.id = a.device_id
    WHERE a.time < line
    ORDER BY 1, 2
    ON CONFLICT (device_id, day) DO UPDATE SET refreshing = false;

    RETURN n;
END;
$$;
