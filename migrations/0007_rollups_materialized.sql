-- Make the aggregates anew, with two changes, and refresh them without a slip.
--
-- They hold what is stored, and what is newer than the last refresh comes from the datapoints. An aggregate built on a
-- real-time one reads that one's tail too: each refresh of a month's 600 day rows planned and opened every chunk of
-- datapoints. With 52 million datapoints it took 15 s, and 24 ms without the tail. History knows the line between
-- the two (rollup_horizon.refreshed_until) and reads what lies above it itself.
--
-- Values beyond 1e100 are no part of any bucket: their squares, or a few of their sums, are beyond double precision,
-- where PostgreSQL raises an error. One reading of 1e308 stopped the refresh for everybody.
DROP MATERIALIZED VIEW datapoints_1d;
DROP MATERIALIZED VIEW datapoints_1h;
DROP MATERIALIZED VIEW datapoints_15m;
DELETE FROM rollup_dirty;
UPDATE rollup_horizon SET horizon = '2000-01-01 00:00Z', refreshed_until = '2000-01-01 00:00Z';

CREATE MATERIALIZED VIEW datapoints_15m
WITH (timescaledb.continuous, timescaledb.materialized_only = true, timescaledb.create_group_indexes = false) AS
SELECT
    device_id,
    sensor_id,
    time_bucket('15 minutes', time) AS bucket,
    count(*) AS n,
    sum(value) AS sum,
    regr_sxx(value, value) AS m2,
    min(value) AS min,
    max(value) AS max,
    first(value, time) AS first,
    min(time) AS first_time,
    last(value, time) AS last,
    max(time) AS last_time
FROM datapoints
WHERE abs(value) <= 1e100
GROUP BY device_id, sensor_id, time_bucket('15 minutes', time)
WITH NO DATA;

CREATE MATERIALIZED VIEW datapoints_1h
WITH (timescaledb.continuous, timescaledb.materialized_only = true, timescaledb.create_group_indexes = false) AS
SELECT
    device_id,
    sensor_id,
    time_bucket('1 hour', bucket) AS bucket,
    sum(n)::bigint AS n,
    sum(sum) AS sum,
    combined_m2(ARRAY[n, sum, m2]) AS m2,
    min(min) AS min,
    max(max) AS max,
    first(first, first_time) AS first,
    min(first_time) AS first_time,
    last(last, last_time) AS last,
    max(last_time) AS last_time
FROM datapoints_15m
GROUP BY device_id, sensor_id, time_bucket('1 hour', bucket)
WITH NO DATA;

CREATE MATERIALIZED VIEW datapoints_1d
WITH (timescaledb.continuous, timescaledb.materialized_only = true, timescaledb.create_group_indexes = false) AS
SELECT
    device_id,
    sensor_id,
    time_bucket('1 day', bucket) AS bucket,
    sum(n)::bigint AS n,
    sum(sum) AS sum,
    combined_m2(ARRAY[n, sum, m2]) AS m2,
    min(min) AS min,
    max(max) AS max,
    first(first, first_time) AS first,
    min(first_time) AS first_time,
    last(last, last_time) AS last,
    max(last_time) AS last_time
FROM datapoints_1h
GROUP BY device_id, sensor_id, time_bucket('1 day', bucket)
WITH NO DATA;

CREATE INDEX ON datapoints_15m (device_id, sensor_id, bucket);
CREATE INDEX ON datapoints_1h (device_id, sensor_id, bucket);
CREATE INDEX ON datapoints_1d (device_id, sensor_id, bucket);

-- In the row store a component's hours lie a page apart from each other; in the columnstore a year of them is a
-- dozen segments. 30 days: later changes are rare by then, and still cost only their segment.
ALTER MATERIALIZED VIEW datapoints_15m SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id, sensor_id', timescaledb.orderby = 'bucket');
ALTER MATERIALIZED VIEW datapoints_1h SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id, sensor_id', timescaledb.orderby = 'bucket');
ALTER MATERIALIZED VIEW datapoints_1d SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'device_id, sensor_id', timescaledb.orderby = 'bucket');

-- The planner's costs add up over a hypertable's chunks, nearly all of which are then skipped: compiling for such
-- costs took 3 s where the rows took milliseconds.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database()); END $$;

-- Where a device's history begins: nothing before it is planned for. It only moves back.
ALTER TABLE devices ADD COLUMN first_reading_at timestamptz;
UPDATE devices AS d
SET first_reading_at = (SELECT min(time) FROM datapoints WHERE device_id = d.id)
WHERE last_reading_at IS NOT NULL;

-- As in 0005, and commit after each aggregate: TimescaleDB notes what the next one has to refresh when the transaction
-- ends that wrote the one below. Without it days were refreshed that held nothing of the write they were dirty for.
CREATE OR REPLACE PROCEDURE refresh_rollups_between(range_start timestamptz, range_end timestamptz) LANGUAGE plpgsql AS $$
DECLARE
    rollup record;
    window_start timestamptz;
    window_end timestamptz;
BEGIN
    FOR rollup IN
        SELECT name, width
        FROM (VALUES ('datapoints_15m', INTERVAL '15 minutes'), ('datapoints_1h', '1 hour'), ('datapoints_1d', '1 day')) AS r (name, width)
        ORDER BY width
    LOOP
        window_start := time_bucket(rollup.width, range_start);
        window_end := time_bucket(rollup.width, range_end);
        IF window_start < window_end THEN
            CALL refresh_continuous_aggregate(rollup.name::regclass, window_start, window_end);
            COMMIT;
        END IF;
    END LOOP;
END;
$$;

-- The job: first what is new since the last run, then the oldest dirty days, a month of them at most, each run of
-- neighbours by itself and nothing between. One at a time, by an advisory lock; a second caller returns at once.
-- A month a call keeps transactions short; while days are left the job starts again at once.
CREATE OR REPLACE PROCEDURE refresh_rollups(job_id integer DEFAULT 0, config jsonb DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    old_end timestamptz;
    new_end timestamptz;
    run record;
BEGIN
    IF NOT pg_try_advisory_lock(hashtext('refresh_rollups')) THEN
        RETURN;
    END IF;

    -- Kits send once a minute; a quarter of an hour of leave keeps most readings from ever being late.
    new_end := time_bucket('15 minutes', now() - INTERVAL '15 minutes');
    UPDATE rollup_horizon SET horizon = greatest(horizon, new_end)
    RETURNING refreshed_until, horizon INTO old_end, new_end;
    COMMIT;
    IF old_end < new_end THEN
        CALL refresh_rollups_between(old_end, new_end);
        UPDATE rollup_horizon SET refreshed_until = new_end;
        COMMIT;
    END IF;

    UPDATE rollup_dirty SET refreshing = true
    WHERE NOT refreshing AND day < (SELECT min(day) + 31 FROM rollup_dirty);
    COMMIT;
    FOR run IN
        SELECT min(day) AS first_day, max(day) + 1 AS end_day
        FROM (
            SELECT day, day - row_number() OVER (ORDER BY day)::integer AS neighbourhood
            FROM rollup_dirty
            WHERE refreshing
            GROUP BY day
        ) AS dirty
        GROUP BY neighbourhood
        ORDER BY first_day
    LOOP
        CALL refresh_rollups_between(
            run.first_day::timestamp AT TIME ZONE 'UTC',
            least(run.end_day::timestamp AT TIME ZONE 'UTC', new_end)
        );
        DELETE FROM rollup_dirty WHERE day >= run.first_day AND day < run.end_day AND refreshing;
        COMMIT;
    END LOOP;

    IF job_id <> 0 AND EXISTS (SELECT FROM rollup_dirty WHERE NOT refreshing) THEN
        PERFORM alter_job(job_id, next_start => clock_timestamp());
    END IF;
    COMMIT;
    PERFORM pg_advisory_unlock(hashtext('refresh_rollups'));
END;
$$;
