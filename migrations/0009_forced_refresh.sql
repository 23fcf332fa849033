-- Compute the hours and days of a refreshed range whatever TimescaleDB has noted of them.
--
-- What it notes of one aggregate for the one above is not always there when that is refreshed right afterwards: seen on
-- 2.23 without a commit between the two, and on 2.28, rarely, with it. A day then lost its mark while its hours and its
-- day still were as before the write. The quarters of an hour go by the notes, which stand with the write itself;
-- they are the costly part. To compute a day's hours and days again from them costs seconds at 1,000 kits.
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
            CALL refresh_continuous_aggregate(
                rollup.name::regclass, window_start, window_end, force => rollup.width > INTERVAL '15 minutes'
            );
            COMMIT;
        END IF;
    END LOOP;
END;
$$;
