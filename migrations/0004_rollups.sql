-- Continuous aggregates of 15 minutes, an hour and a day (UTC), each built on the one before.
--
-- 15 minutes because every time zone's offset is a multiple of it: a local day, week, month or year anywhere is an
-- exact union of such buckets. Each bucket keeps what larger ones need: never an average of averages.
-- m2 is the sum of squared deviations from the bucket's mean: unlike a sum of squares it keeps its digits when
-- values are large and their spread small (1e6 +- 1e-3).

-- Chan, Golub, LeVeque (1979): the m2 of a union, from each part's n, sum and m2. PostgreSQL's own parallel
-- variance does just this (float8_combine, utils/adt/float.c), so its function is ours.
CREATE FUNCTION m2_of_moments(moments double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN moments[3];
CREATE AGGREGATE combined_m2(moments double precision[]) (
    sfunc = float8_combine,
    stype = double precision[],
    initcond = '{0,0,0}',
    combinefunc = float8_combine,
    finalfunc = m2_of_moments,
    parallel = safe
);

CREATE MATERIALIZED VIEW datapoints_15m
WITH (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) AS
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
WHERE value IS NOT NULL
GROUP BY device_id, sensor_id, time_bucket('15 minutes', time)
WITH NO DATA;

CREATE MATERIALIZED VIEW datapoints_1h
WITH (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) AS
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
WITH (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) AS
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

-- TimescaleDB before 2.28 lets only aggregates with a refresh policy have a columnstore policy; ours are refreshed by
-- what was written (the next migration), so here is the policy as a job of our own.
CREATE PROCEDURE convert_rollups_to_columnstore(job_id integer DEFAULT 0, config jsonb DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
    chunk regclass;
BEGIN
    FOR chunk IN
        SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass
        FROM timescaledb_information.chunks AS c
        JOIN timescaledb_information.continuous_aggregates AS a
            ON (c.hypertable_schema, c.hypertable_name) = (a.materialization_hypertable_schema, a.materialization_hypertable_name)
        WHERE NOT c.is_compressed AND c.range_end < now() - INTERVAL '30 days'
        ORDER BY c.range_end
    LOOP
        CALL convert_to_columnstore(chunk);
        COMMIT;
    END LOOP;
END;
$$;
SELECT add_job('convert_rollups_to_columnstore', INTERVAL '12 hours', initial_start => now());
