-- The one big table: one row a component and time.
--
-- No foreign keys here: `components` holds the pair with its keys, written in the same transaction, and a check
-- of each of a batch's thousands of rows would repeat that one. `calibration_id` is null where value = raw.

CREATE EXTENSION IF NOT EXISTS timescaledb;

CREATE TABLE datapoints (
    device_id integer NOT NULL,
    sensor_id integer NOT NULL,
    time timestamptz NOT NULL,
    raw double precision,
    value double precision,
    calibration_id integer,
    PRIMARY KEY (device_id, sensor_id, time)
);

-- 7 days: 1,000 kits of 15 sensors a minute are 151 million rows a chunk, some 11 GB before the columnstore;
-- the newest chunk's index should stay in memory, so larger sites shorten it with set_chunk_time_interval().
SELECT create_hypertable('datapoints', by_range('time', INTERVAL '7 days'), create_default_indexes => false);

-- A segment is one component, newest first: what every history query reads.
ALTER TABLE datapoints SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'device_id, sensor_id',
    timescaledb.orderby = 'time DESC'
);
CALL add_columnstore_policy('datapoints', after => INTERVAL '7 days');
