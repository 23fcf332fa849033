-- Keep the aggregates true to the datapoints, whatever the age of what is written.
--
-- One line divides time, the horizon. Readings at and after it are aggregated as they are asked for. A write below it
-- marks its device and day as dirty, in its own transaction, and until the day is refreshed every query computes
-- it from the datapoints. So an answer is right from the moment a write commits, and refreshing only makes it fast.

CREATE TABLE rollup_horizon (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    horizon timestamptz NOT NULL, -- writers hold FOR SHARE until they commit, so it moves only between them
    refreshed_until timestamptz NOT NULL -- behind the horizon only while a refresh runs or after it was killed
);
INSERT INTO rollup_horizon (horizon, refreshed_until) VALUES ('2000-01-01 00:00Z', '2000-01-01 00:00Z');

CREATE TABLE rollup_dirty (
    device_id integer NOT NULL REFERENCES devices ON DELETE CASCADE,
    day date NOT NULL, -- UTC
    refreshing boolean NOT NULL DEFAULT false, -- a write sets it back, so that the refresh leaves the mark standing
    PRIMARY KEY (device_id, day)
);
CREATE INDEX ON rollup_dirty (day);

-- Refresh what the days in [range_start, range_end) hold, in the three aggregates from the bottom up. Each window is
-- widened to whole buckets, but never past refreshed_until: an aggregate's watermark must not pass readings to come.
CREATE PROCEDURE refresh_rollups_between(range_start timestamptz, range_end timestamptz) LANGUAGE plpgsql AS $$
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
        END IF;
    END LOOP;
END;
$$;

-- The job: first what is new since the last run, then the oldest dirty month. One at a time, by an advisory lock;
-- a second caller returns at once. A month a call keeps transactions short: call it until rollup_dirty is empty.
CREATE PROCEDURE refresh_rollups(job_id integer DEFAULT 0, config jsonb DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    old_end timestamptz;
    new_end timestamptz;
    first_day date;
    last_day date;
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

    SELECT min(day) INTO first_day FROM rollup_dirty;
    IF first_day IS NOT NULL THEN
        UPDATE rollup_dirty SET refreshing = true WHERE day < first_day + 31 AND NOT refreshing;
        SELECT max(day) INTO last_day FROM rollup_dirty WHERE day < first_day + 31;
        COMMIT;
        CALL refresh_rollups_between(
            first_day::timestamp AT TIME ZONE 'UTC',
            least((last_day + 1)::timestamp AT TIME ZONE 'UTC', new_end)
        );
        DELETE FROM rollup_dirty WHERE day BETWEEN first_day AND last_day AND refreshing;
        COMMIT;
    END IF;

    PERFORM pg_advisory_unlock(hashtext('refresh_rollups'));
END;
$$;
SELECT add_job('refresh_rollups', INTERVAL '1 minute', initial_start => now());
