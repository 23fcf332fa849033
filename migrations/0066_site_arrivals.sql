-- Who follows the datapoints hears of those from other sites too: the outbox carries their keys as arrivals have them.

ALTER TABLE outbox ADD COLUMN keys bytea; -- null: computed anew, which is no arrival

CREATE OR REPLACE FUNCTION merge_outbox() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    n integer := cardinality(NEW.times);
BEGIN
    IF merge_datapoints(
        array_fill(NEW.hlc, ARRAY[n]),
        NEW.device_ids,
        NEW.sensor_ids,
        NEW.times,
        NEW.raws,
        coalesce(NEW.values, NEW.raws),
        NEW.calibration_ids
    ) > 0 AND NEW.keys IS NOT NULL THEN
        INSERT INTO arrivals AS a (device_ids, keys, datapoints, horizon)
        SELECT ARRAY(SELECT DISTINCT d FROM unnest(NEW.device_ids) AS d), ARRAY[NEW.keys], n, horizon
        FROM rollup_horizon
        ON CONFLICT (xid) DO UPDATE
        SET
            device_ids = a.device_ids || excluded.device_ids,
            keys = a.keys || excluded.keys,
            datapoints = a.datapoints + excluded.datapoints;
    END IF;
    RETURN NULL;
END;
$$;

-- What ingestors remember must go when a device's kit is changed at another site, too.
ALTER TABLE devices ENABLE ALWAYS TRIGGER ingest_version_of_kits;
