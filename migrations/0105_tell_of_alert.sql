-- One way to tell an owner that an alert has begun or ended.

-- Note it for the owner of this moment; that it has ended, as long as the device's switch for such alerts is on. A mail
-- tells what has begun, and that a device is back.
CREATE FUNCTION tell_of_alert(alert alerts) RETURNS void LANGUAGE sql AS $$
    INSERT INTO notifications (alert_id, owner_id, phase, by_mail, created_at)
    SELECT
        alert.id,
        d.owner_id,
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
