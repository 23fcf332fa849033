-- A batch for the other sites says nothing twice, and costs each of them a third of the work, where it is new there.
--
-- A run is the readings of a component at some times, one after the other. Sensors of a device that have readings at the
-- same times, as those of a kit have, make a block, which says the times once: `device_ids`, `sensor_counts` and
-- `time_counts` have an element for each block; `sensor_ids` and `times` those of all blocks in turn; `raws`, `values` and
-- `calibration_ids` an element for each datapoint, by block, sensor and time.

ALTER TABLE outbox
    ADD COLUMN sensor_counts integer[], -- null, of a site that has not been migrated: device_ids, sensor_ids and times are
    ADD COLUMN time_counts integer[]; -- those of each datapoint

CREATE TYPE run AS (
    hlc bigint,
    device_id integer,
    sensor_id integer,
    times timestamptz[], -- in their order
    raws double precision[],
    values double precision[],
    calibration_ids integer[]
);

CREATE FUNCTION runs_of(box outbox) RETURNS SETOF run LANGUAGE sql STABLE AS $$
    SELECT
        box.hlc,
        b.device_id,
        s.sensor_id,
        box.times[b.times_before + 1:b.times_before + b.time_count],
        box.raws[r.before + 1:r.before + b.time_count],
        (coalesce(box.values, box.raws))[r.before + 1:r.before + b.time_count],
        box.calibration_ids[r.before + 1:r.before + b.time_count]
    FROM (
        SELECT
            u.*,
            (sum(u.sensor_count) OVER before)::integer - u.sensor_count AS sensors_before,
            (sum(u.time_count) OVER before)::integer - u.time_count AS times_before,
            (sum(u.sensor_count * u.time_count) OVER before)::integer - u.sensor_count * u.time_count AS rows_before
        FROM unnest(
            box.device_ids,
            coalesce(box.sensor_counts, array_fill(1, ARRAY[cardinality(box.device_ids)])),
            coalesce(box.time_counts, array_fill(1, ARRAY[cardinality(box.device_ids)]))
        ) WITH ORDINALITY AS u (device_id, sensor_count, time_count, place)
        WINDOW before AS (ORDER BY u.place ROWS UNBOUNDED PRECEDING)
    ) AS b
    CROSS JOIN unnest(box.sensor_ids[b.sensors_before + 1:b.sensors_before + b.sensor_count])
        WITH ORDINALITY AS s (sensor_id, place)
    CROSS JOIN LATERAL (SELECT b.rows_before + (s.place - 1)::integer * b.time_count AS before) AS r
    ORDER BY b.place, s.place
$$;

CREATE FUNCTION datapoints_of(runs run[]) RETURNS TABLE (
    device_id integer,
    sensor_id integer,
    "time" timestamptz,
    raw double precision,
    value double precision,
    calibration_id integer,
    hlc bigint
) LANGUAGE sql IMMUTABLE AS $$
    SELECT
        d.device_id, d.sensor_id, d.time, nullif(d.raw, 'NaN'), nullif(d.value, 'NaN'), nullif(d.calibration_id, 0),
        nullif(d.hlc, 0)
    FROM (
        SELECT
            r.device_id,
            r.sensor_id,
            unnest(r.times) AS time,
            unnest(r.raws) AS raw,
            unnest(r.values) AS value,
            unnest(r.calibration_ids) AS calibration_id,
            r.hlc
        FROM unnest(runs) AS r
    ) AS d
$$;

-- Store what is later than what is here, and return how many rows that are. NaN stands for null, and so do a calibration
-- and an hlc of 0. Two writes of one hlc differ only where somebody has changed rows by hand: the larger wins.
-- `maybe_new`: nothing of this has been sent before, and no component has two runs.
CREATE FUNCTION merge_runs(runs run[], maybe_new boolean) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    role text := current_setting('session_replication_role');
    line timestamptz;
    oldest timestamptz := (SELECT now() - datapoints_kept_for FROM ingest_version);
    gone_devices integer[];
    stored run[];
BEGIN
    PERFORM see_hlc((SELECT max(hlc) FROM unnest(runs)));
    -- The aggregates' own triggers shall see these rows, and a chunk in the columnstore take them.
    PERFORM set_config('session_replication_role', 'origin', true);
    PERFORM set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true);

    SELECT horizon INTO line FROM rollup_horizon FOR SHARE;
    PERFORM pg_advisory_xact_lock(hashtext('readings'), running.device_id)
    FROM (
        SELECT DISTINCT device_id
        FROM recalibrations
        WHERE state = 'running' AND device_id IN (SELECT device_id FROM unnest(runs))
        ORDER BY device_id
    ) AS running;
    SELECT coalesce(array_agg((key ->> 'id')::integer), '{}') INTO gone_devices
    FROM row_versions
    WHERE
        table_name = 'devices'
        AND gone
        AND key = ANY(ARRAY(
            SELECT jsonb_build_object('id', device_id) FROM (SELECT DISTINCT device_id FROM unnest(runs)) AS d
        ));

    -- What is all new, as nearly everything is, needs no look at what is there: a third of the work.
    IF maybe_new AND gone_devices = '{}' AND (oldest IS NULL OR (SELECT min(times[1]) FROM unnest(runs)) >= oldest) THEN
        BEGIN
            INSERT INTO datapoints (device_id, sensor_id, time, raw, value, calibration_id, hlc)
            SELECT device_id, sensor_id, time, raw, value, calibration_id, hlc FROM datapoints_of(runs);
            stored := runs;
        EXCEPTION WHEN unique_violation THEN -- not all is
        END;
    END IF;
    IF stored IS NULL THEN
        WITH written AS (
            INSERT INTO datapoints AS p (device_id, sensor_id, time, raw, value, calibration_id, hlc)
            SELECT device_id, sensor_id, time, raw, value, calibration_id, hlc
            FROM datapoints_of(runs)
            WHERE device_id <> ALL(gone_devices) AND (oldest IS NULL OR time >= oldest)
            ORDER BY device_id, sensor_id, time
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
        ),
        written_runs AS (
            SELECT
                device_id,
                sensor_id,
                array_agg(time ORDER BY time) AS times,
                array_agg(raw ORDER BY time) AS raws,
                array_agg(value ORDER BY time) AS values
            FROM written
            GROUP BY device_id, sensor_id
        )
        SELECT array_agg(ROW(NULL, device_id, sensor_id, times, raws, values, NULL)::run) INTO stored FROM written_runs;
    END IF;
    PERFORM set_config('session_replication_role', role, true);

    -- What follows is that of touch_devices, move_latest_values and mark_late_days in sql/ingest.sql.
    WITH heard AS (
        SELECT w.id, h.first_time, h.last_time, h.late
        FROM (
            SELECT
                device_id,
                min(times[1]) AS first_time,
                max(times[cardinality(times)]) AS last_time,
                bool_or(times[1] < line)::integer AS late
            FROM unnest(stored)
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
        SELECT
            r.device_id,
            r.sensor_id,
            r.times[n] AS time,
            nullif(r.raws[n], 'NaN') AS raw,
            nullif(r.values[n], 'NaN') AS value,
            r.times[n - 1] AS previous_time,
            nullif(r.values[n - 1], 'NaN') AS previous_value
        FROM unnest(stored) AS r
        CROSS JOIN cardinality(r.times) AS n
    ) AS a
    WHERE c.device_id = a.device_id AND c.sensor_id = a.sensor_id AND (c.latest_time IS NULL OR c.latest_time <= a.time);

    INSERT INTO rollup_dirty AS m (device_id, day)
    SELECT DISTINCT r.device_id, (t.time AT TIME ZONE 'UTC')::date
    FROM unnest(stored) AS r
    JOIN devices AS w ON w.id = r.device_id
    CROSS JOIN unnest(r.times) AS t (time)
    WHERE r.times[1] < line AND t.time < line
    ORDER BY 1, 2
    ON CONFLICT (device_id, day) DO UPDATE SET refreshing = false;

    RETURN (SELECT coalesce(sum(cardinality(times)), 0) FROM unnest(stored));
END;
$$;

CREATE OR REPLACE FUNCTION merge_datapoints(
    hlcs bigint[],
    of_devices integer[],
    of_sensors integer[],
    at_times timestamptz[],
    raws double precision[],
    processed double precision[],
    by_calibrations integer[]
) RETURNS bigint LANGUAGE sql SET search_path FROM CURRENT AS $$
    SELECT merge_runs(array_agg(r.run), false)
    FROM (
        SELECT
            ROW(
                hlc,
                device_id,
                sensor_id,
                array_agg(time ORDER BY time),
                array_agg(raw ORDER BY time),
                array_agg(value ORDER BY time),
                array_agg(calibration_id ORDER BY time)
            )::run AS run
        FROM unnest(hlcs, of_devices, of_sensors, at_times, raws, processed, by_calibrations)
            AS u (hlc, device_id, sensor_id, time, raw, value, calibration_id)
        GROUP BY hlc, device_id, sensor_id
    ) AS r
$$;

CREATE OR REPLACE FUNCTION merge_outbox() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    n bigint := merge_runs(
        ARRAY(SELECT r FROM runs_of(NEW) AS r), NEW.keys IS NOT NULL AND NEW.sensor_counts IS NOT NULL
    );
BEGIN
    IF n > 0 AND NEW.keys IS NOT NULL THEN
        INSERT INTO arrivals AS a (device_ids, keys, datapoints, horizon)
        SELECT ARRAY(SELECT DISTINCT d FROM unnest(NEW.device_ids) AS d), ARRAY[NEW.keys], cardinality(NEW.raws), horizon
        FROM rollup_horizon
        ON CONFLICT (xid) DO UPDATE
        SET
            device_ids = a.device_ids || excluded.device_ids,
            keys = a.keys || excluded.keys,
            datapoints = a.datapoints + excluded.datapoints;
    END IF;
    RETURN NULL;
END;
$$;
