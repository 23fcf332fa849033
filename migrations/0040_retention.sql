-- How long datapoints are kept: for ever, unless `almanac retention` says otherwise. Their aggregates always stay: a
-- year of a component's quarters of an hour is a 15th of its minutes, and its days are 365 rows.
--
-- What is older than that is not taken in either: it would be all that its bucket is computed from when the rest of
-- the bucket is gone. So chunks go a week later than what is refused: by then no refresh is under way for their days.

ALTER TABLE ingest_version ADD COLUMN datapoints_kept_for interval; -- null: for ever

CREATE PROCEDURE keep_datapoints_for(age interval) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM remove_retention_policy('datapoints', if_exists => true);
    IF age IS NOT NULL THEN
        PERFORM add_retention_policy('datapoints', drop_after => age + INTERVAL '7 days');
    END IF;
    UPDATE ingest_version SET version = version + 1, datapoints_kept_for = age;
END;
$$;
