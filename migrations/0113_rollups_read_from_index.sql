-- In the row store, where a rollup's newest buckets lie, those of one component stand a page apart from each other: what
-- was written together stands together. With what averages, sums and counts need in the index, they are read from it
-- alone. A year of one component by the day, most of it in the row store, touched 202 pages and touches 16.
CREATE INDEX ON datapoints_15m (device_id, sensor_id, bucket) INCLUDE (n, sum);
CREATE INDEX ON datapoints_1h (device_id, sensor_id, bucket) INCLUDE (n, sum);
CREATE INDEX ON datapoints_1d (device_id, sensor_id, bucket) INCLUDE (n, sum);

-- Last, since it keeps readers out until the end.
DO $$
DECLARE
    replaced regclass;
BEGIN
    FOR replaced IN
        SELECT i.indexrelid
        FROM timescaledb_information.continuous_aggregates AS a
        JOIN pg_index AS i
            ON i.indrelid = format('%I.%I', a.materialization_hypertable_schema, a.materialization_hypertable_name)::regclass
        WHERE pg_get_indexdef(i.indexrelid) LIKE '%(device_id, sensor_id, bucket)'
    LOOP
        EXECUTE format('DROP INDEX %s', replaced);
    END LOOP;
END;
$$;
