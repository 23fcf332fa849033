-- As in 0061, but days are marked in the order of their keys, as late batches mark them: in another order the two could wait
-- for each other.

-- With three sites a device's readings may come from one before the device itself comes from another: once it is here, let
-- it and its components know of them.
CREATE OR REPLACE FUNCTION follow_datapoints() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    device integer := to_jsonb(NEW) ->> TG_ARGV[0];
    line timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM datapoints WHERE device_id = device) THEN
        RETURN NULL;
    END IF;
    SELECT horizon INTO line FROM rollup_horizon FOR SHARE;
    UPDATE components AS c
    SET latest_time = n.time, latest_raw = n.raw, latest_value = n.value, previous_value = n.previous
    FROM components AS o
    CROSS JOIN LATERAL (
        SELECT p.time, p.raw, p.value, lead(p.value) OVER (ORDER BY p.time DESC) AS previous
        FROM datapoints AS p
        WHERE p.device_id = o.device_id AND p.sensor_id = o.sensor_id
        ORDER BY p.time DESC
        LIMIT 1
    ) AS n
    WHERE o.device_id = device AND o.latest_time IS NULL AND c.device_id = o.device_id AND c.sensor_id = o.sensor_id;
    UPDATE devices AS w
    SET
        first_reading_at = n.first_time,
        last_reading_at = n.last_time,
        last_received_at = now(),
        data_version = w.data_version + 1,
        late_version = w.late_version + 1
    FROM (SELECT min(time) AS first_time, max(time) AS last_time FROM datapoints WHERE device_id = device) AS n
    WHERE w.id = device;
    INSERT INTO rollup_dirty AS m (device_id, day)
    SELECT DISTINCT p.device_id, (p.time AT TIME ZONE 'UTC')::date
    FROM datapoints AS p
    JOIN devices AS w ON w.id = p.device_id
    WHERE p.device_id = device AND p.time < line
    ORDER BY 1, 2
    ON CONFLICT (device_id, day) DO UPDATE SET refreshing = false;
    RETURN NULL;
END;
$$;
