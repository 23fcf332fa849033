-- Datapoints from other sites: stored as the ingestor stores its own, with all that follows from them.

-- Store what is later than what is here, and return how many rows that are. NaN stands for null, and so does a
-- calibration of 0. Two writes of one hlc differ only where somebody has changed rows by hand: the larger wins.
CREATE FUNCTION merge_datapoints(
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

    PERFORM set_config('session_replication_role', role, true);
    RETURN n;
END;
$$;

CREATE FUNCTION merge_outbox() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    n integer := cardinality(NEW.times);
BEGIN
    IF merge_datapoints(
        array_fill(NEW.hlc, ARRAY[n]),
        NEW.device_ids,
        NEW.sensor_ids,
        NEW.times,
        NEW.raws,
        coalesce(NEW.values, NEW.raws),
        NEW.calibration_ids
    ) > 0 THEN
        INSERT INTO arrivals AS a (device_ids, sensor_ids, times, horizon, datapoints)
        SELECT NEW.device_ids, NEW.sensor_ids, NEW.times, horizon, n FROM rollup_horizon
        ON CONFLICT (xid) DO UPDATE
        SET
            device_ids = a.device_ids || excluded.device_ids,
            sensor_ids = a.sensor_ids || excluded.sensor_ids,
            times = a.times || excluded.times,
            datapoints = a.datapoints + excluded.datapoints;
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER merge BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION merge_outbox();
ALTER TABLE outbox ENABLE REPLICA TRIGGER merge;

-- With three sites a device's readings may come from one before the device itself comes from another: once it is here, let
-- it and its components know of them.
CREATE FUNCTION follow_datapoints() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    device integer := to_jsonb(NEW) ->> TG_ARGV[0];
    line timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM datapoints WHERE device_id = device) THEN
        RETURN NULL;
    END IF;
    SELECT horizon INTO line FROM rollup_horizon FOR SHARE;
    UPDATE components AS c
    SET latest_time = n.time, latest_raw = n.raw, latest_value = n.value, previous_value = n.previous
    FROM components AS o
    CROSS JOIN LATERAL (
        SELECT p.time, p.raw, p.value, lead(p.value) OVER (ORDER BY p.time DESC) AS previous
        FROM datapoints AS p
        WHERE p.device_id = o.device_id AND p.sensor_id = o.sensor_id
        ORDER BY p.time DESC
        LIMIT 1
    ) AS n
    WHERE o.device_id = device AND o.latest_time IS NULL AND c.device_id = o.device_id AND c.sensor_id = o.sensor_id;
    UPDATE devices AS w
    SET
        first_reading_at = n.first_time,
        last_reading_at = n.last_time,
        last_received_at = now(),
        data_version = w.data_version + 1,
        late_version = w.late_version + 1
    FROM (SELECT min(time) AS first_time, max(time) AS last_time FROM datapoints WHERE device_id = device) AS n
    WHERE w.id = device;
    INSERT INTO rollup_dirty AS m (device_id, day)
    SELECT DISTINCT p.device_id, (p.time AT TIME ZONE 'UTC')::date
    FROM datapoints AS p
    JOIN devices AS w ON w.id = p.device_id
    WHERE p.device_id = device AND p.time < line
    ON CONFLICT (device_id, day) DO UPDATE SET refreshing = false;
    RETURN NULL;
END;
$$;
CREATE TRIGGER follow_datapoints AFTER INSERT ON devices FOR EACH ROW EXECUTE FUNCTION follow_datapoints('id');
CREATE TRIGGER follow_datapoints AFTER INSERT ON components FOR EACH ROW EXECUTE FUNCTION follow_datapoints('device_id');
ALTER TABLE devices ENABLE REPLICA TRIGGER follow_datapoints;
ALTER TABLE components ENABLE REPLICA TRIGGER follow_datapoints;

-- A calibration from another site: what was received here without it is computed anew. The batches that are being
-- written end first, and later ones see it. What the other site's redo has sent by then costs nothing more.
CREATE FUNCTION follow_calibration() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM rollup_horizon FOR UPDATE;
    INSERT INTO recalibrations (device_id, sensor_id, calibration_id, range_start, range_end, done_until)
    SELECT
        c.device_id,
        c.sensor_id,
        p.id,
        p.valid_from,
        least(p.valid_until, c.latest_time + INTERVAL '1 microsecond'),
        p.valid_from
    FROM calibration_periods AS p
    JOIN components AS c USING (sensor_id)
    JOIN devices AS w ON w.id = c.device_id
    WHERE
        p.id = NEW.id
        AND (p.device_id IS NULL OR p.device_id = c.device_id)
        AND (p.kit_id IS NULL OR p.kit_id = w.kit_id)
        AND c.latest_time >= p.valid_from
    ORDER BY c.device_id;
    RETURN NULL;
END;
$$;
CREATE TRIGGER follow_calibration AFTER INSERT ON calibrations FOR EACH ROW EXECUTE FUNCTION follow_calibration();
ALTER TABLE calibrations ENABLE REPLICA TRIGGER follow_calibration;
