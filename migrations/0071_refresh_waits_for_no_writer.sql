-- The refresh waits for no writer. A late batch marks its days in the order of their keys and holds them to its end;
-- taking them for the refresh in no order, and waiting for those that were held, ended in a deadlock twice an hour.
--
-- A day that a writer holds is left out: it is being marked anew, or stays marked and has the next run. So is a
-- refreshed day whose mark cannot be taken away: it is refreshed again.

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

    WITH due AS MATERIALIZED (
        SELECT device_id, day
        FROM rollup_dirty
        WHERE NOT refreshing AND day < (SELECT min(day) + 31 FROM rollup_dirty)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE rollup_dirty AS r
    SET refreshing = true
    FROM due
    WHERE r.device_id = due.device_id AND r.day = due.day;
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
        WITH done AS MATERIALIZED (
            SELECT device_id, day
            FROM rollup_dirty
            WHERE day >= run.first_day AND day < run.end_day AND refreshing
            FOR UPDATE SKIP LOCKED
        )
        DELETE FROM rollup_dirty AS r
        USING done
        WHERE r.device_id = done.device_id AND r.day = done.day;
        COMMIT;
    END LOOP;

    IF job_id <> 0 AND EXISTS (SELECT FROM rollup_dirty WHERE NOT refreshing) THEN
        PERFORM alter_job(job_id, next_start => clock_timestamp());
    END IF;
    COMMIT;
    PERFORM pg_advisory_unlock(hashtext('refresh_rollups'));
END;
$$;
