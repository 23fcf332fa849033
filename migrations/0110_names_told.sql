-- A notification says how the device was called then: what is sent later, or again, must not show its former owner a name
-- that the next one has given it.

ALTER TABLE notifications ADD COLUMN device_name text;

UPDATE notifications AS n
SET device_name = CASE WHEN d.owner_id = n.owner_id THEN d.name ELSE 'device ' || d.id END
FROM alerts AS a
JOIN devices AS d ON d.id = a.device_id
WHERE a.id = n.alert_id;

ALTER TABLE notifications ALTER COLUMN device_name SET NOT NULL;

CREATE OR REPLACE FUNCTION tell_of_alert(alert alerts) RETURNS void LANGUAGE sql AS $$
    INSERT INTO notifications (alert_id, owner_id, device_name, phase, by_mail, created_at)
    SELECT
        alert.id,
        d.owner_id,
        d.name,
        CASE WHEN alert.ended_at IS NULL THEN 'began' ELSE 'ended' END,
        alert.ended_at IS NULL OR alert.kind = 'stopped_publishing',
        coalesce(alert.ended_at, alert.began_at)
    FROM devices AS d
    WHERE
        d.id = alert.device_id
        AND CASE
            WHEN alert.ended_at IS NULL THEN true
            WHEN alert.kind = 'stopped_publishing' THEN d.notify_stopped_publishing
            WHEN alert.kind = 'low_battery' THEN d.notify_low_battery
            WHEN alert.kind = 'device_error' THEN d.notify_errors
            ELSE d.notify_faulty_sensors
        END;
$$;
