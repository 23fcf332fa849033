-- The end of a device, and its way to another owner.

-- Deleting the readings of years takes a while: here is how far it has come, also after the device itself is gone.
CREATE TABLE device_purges (
    device_id integer PRIMARY KEY, -- no reference: it stays when the device goes
    owner_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    requested_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    percent integer NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    datapoints bigint NOT NULL DEFAULT 0 -- deleted so far
);
CREATE INDEX ON device_purges (owner_id);

-- Whoever has the token may have the device. Kept as SHA-256, used up by the first who does.
CREATE TABLE device_transfers (
    device_id integer PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Forget a device's readings from [range_start, range_end), the aggregates' buckets that begin there included, and
-- return how many datapoints they were. The aggregates' own tables are emptied directly: to refresh them would compute
-- every other device's buckets of those years again.
CREATE FUNCTION delete_datapoints_of(device integer, range_start timestamptz, range_end timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    rollup regclass;
    deleted bigint;
BEGIN
    DELETE FROM datapoints WHERE device_id = device AND time >= range_start AND time < range_end;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    FOR rollup IN
        SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass
        FROM timescaledb_information.continuous_aggregates
        WHERE view_name IN ('datapoints_15m', 'datapoints_1h', 'datapoints_1d')
        ORDER BY view_name
    LOOP
        EXECUTE format('DELETE FROM %s WHERE device_id = $1 AND bucket >= $2 AND bucket < $3', rollup)
        USING device, range_start, range_end;
    END LOOP;
    RETURN deleted;
END;
$$;
