-- What is refreshed in the columnstore, after late data, comes to lie in the row store of its chunk. The chunk counts as
-- converted all the same: only those that did not were taken, so a component's hours stayed there, a page apart from each
-- other. To convert a chunk again takes what lies in its row store, and nothing where there is nothing.
CREATE OR REPLACE PROCEDURE convert_rollups_to_columnstore(job_id integer DEFAULT 0, config jsonb DEFAULT NULL)
LANGUAGE plpgsql AS $$
DECLARE
    chunk regclass;
BEGIN
    FOR chunk IN
        SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass
        FROM timescaledb_information.chunks AS c
        JOIN timescaledb_information.continuous_aggregates AS a
            ON (c.hypertable_schema, c.hypertable_name) = (a.materialization_hypertable_schema, a.materialization_hypertable_name)
        WHERE c.range_end < now() - INTERVAL '30 days'
        ORDER BY c.range_end
    LOOP
        CALL convert_to_columnstore(chunk);
        COMMIT;
    END LOOP;
END;
$$;
