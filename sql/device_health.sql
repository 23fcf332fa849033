-- How a device is.

-- name: device_heard(device_id)^
-- When something came from a device, its newest reading and when that came, and how often something is expected of it.
SELECT
    d.last_reading_at,
    d.last_received_at,
    greatest(
        d.last_received_at,
        (SELECT max(t.last_used_at) FROM device_tokens AS t WHERE t.device_id = d.id),
        (SELECT max(e.received_at) FROM device_errors AS e WHERE e.device_id = d.id),
        (SELECT max(c.reported_at) FROM device_configs AS c WHERE c.device_id = d.id)
    ) AS last_seen_at,
    e.interval AS expected_interval
FROM devices AS d
JOIN expected_intervals AS e ON e.device_id = d.id
WHERE d.id = :device_id;

-- name: components_between(device_id, start, before)
-- Each component with its readings in a range, their usual distance in seconds, and its latest value.
SELECT
    c.sensor_id,
    c.key,
    c.latest_time,
    c.latest_value,
    s.unit,
    lower(m.name) = 'battery' AS is_battery,
    coalesce(r.n, 0) AS n,
    coalesce(c.interval, k.publish_interval, r.usual_s) AS usual_s
FROM components AS c
JOIN devices AS d ON d.id = c.device_id
JOIN sensors AS s ON s.id = c.sensor_id
LEFT JOIN measurements AS m ON m.id = s.measurement_id
LEFT JOIN kits AS k ON k.id = d.kit_id
LEFT JOIN (
    SELECT sensor_id, count(*) AS n, percentile_cont(0.5) WITHIN GROUP (ORDER BY distance) AS usual_s
    FROM (
        SELECT sensor_id, extract(EPOCH FROM time - lag(time) OVER (PARTITION BY sensor_id ORDER BY time)) AS distance
        FROM datapoints
        WHERE device_id = :device_id AND time >= :start AND time < :before
    ) AS distances
    GROUP BY sensor_id
) AS r ON r.sensor_id = c.sensor_id
WHERE c.device_id = :device_id
ORDER BY c.sensor_id;

-- name: open_device_errors(device_id, most)
-- A device's open errors by component and code, the latest first, each with the number of them all.
SELECT
    component,
    code,
    sum(count) AS count,
    max(last_time) AS last_time,
    (array_agg(message ORDER BY last_time DESC))[1] AS message,
    count(*) OVER () AS total
FROM device_errors
WHERE device_id = :device_id AND resolved_at IS NULL
GROUP BY component, code
ORDER BY max(last_time) DESC, code
LIMIT :most;

-- name: quarantine_reasons(device_id, since)
-- Why things of a device are in quarantine that came since then.
SELECT reason, count(*) AS count, max(received_at) AS last_received_at
FROM quarantine_of_devices
WHERE device_id = :device_id AND received_at >= :since
GROUP BY reason
ORDER BY count(*) DESC, reason;
