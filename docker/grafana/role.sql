-- The role that Grafana's data board reads with: what anybody may see of public devices, through these functions alone.
-- psql's variable `password` is its password. Run after each migration, as the owner of the tables.
--
-- Functions and not views: what is written as text depends on no table, so no later migration is kept from changing one.
BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') THEN
        CREATE ROLE grafana;
    END IF;
END;
$$;
ALTER ROLE grafana LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT 10 PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '15s';

CREATE SCHEMA IF NOT EXISTS grafana;
REVOKE ALL ON SCHEMA grafana FROM PUBLIC;

CREATE OR REPLACE FUNCTION grafana.devices()
RETURNS TABLE (id integer, name text, exposure text, last_reading_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.id, d.name, d.exposure, d.last_reading_at
    FROM devices AS d
    WHERE device_visible(d.owner_id, d.is_private, NULL, false) AND d.archived_at IS NULL
    ORDER BY d.name, d.id
$$;

CREATE OR REPLACE FUNCTION grafana.sensors(wanted_device integer)
RETURNS TABLE (id integer, name text, unit text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id, s.name, s.unit
    FROM components AS c
    JOIN sensors AS s ON s.id = c.sensor_id
    WHERE c.device_id = wanted_device AND c.device_id IN (SELECT id FROM grafana.devices())
    ORDER BY s.name, s.id
$$;

-- In the finest of the three aggregates of which the range has no more than 2,000 buckets.
CREATE OR REPLACE FUNCTION grafana.readings(
    wanted_device integer, wanted_sensor integer, range_start timestamptz, range_end timestamptz
)
RETURNS TABLE ("time" timestamptz, mean double precision, lowest double precision, highest double precision, n bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM grafana.devices() AS d WHERE d.id = wanted_device) THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT bucket, sum / nullif(n, 0), min, max, n FROM %I
        WHERE device_id = $1 AND sensor_id = $2 AND bucket >= $3 AND bucket < $4 ORDER BY bucket',
        CASE
            WHEN range_end - range_start <= INTERVAL '20 days' THEN 'datapoints_15m'
            WHEN range_end - range_start <= INTERVAL '80 days' THEN 'datapoints_1h'
            ELSE 'datapoints_1d'
        END
    ) USING wanted_device, wanted_sensor, range_start, range_end;
END;
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA grafana FROM PUBLIC;
GRANT USAGE ON SCHEMA grafana TO grafana;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA grafana TO grafana;

COMMIT;
