-- How long datapoints are kept.

-- name: datapoints_kept_for()$
-- For how many days datapoints are kept; null: for ever.
SELECT (extract(EPOCH FROM datapoints_kept_for) / 86400)::integer FROM ingest_version;

-- name: keep_datapoints_for(days)!
-- Keep datapoints for so many days, null for ever; the aggregates stay.
CALL keep_datapoints_for(make_interval(days => :days::integer));

-- name: keep_datapoints_of(username, days)!
-- Keep the datapoints of an owner's devices for so many days, null for as long as the platform does.
UPDATE users SET datapoints_kept_for = make_interval(days => :days::integer) WHERE lower(username) = lower(:username);

-- name: datapoints_of_kept_for(username)^
-- For how many days the datapoints of an owner's devices are kept; null: for as long as the platform does.
SELECT (extract(EPOCH FROM datapoints_kept_for) / 86400)::integer AS days FROM users WHERE lower(username) = lower(:username);

-- name: expired_days()
-- What is older than its owner's datapoints are kept: a device, its first day and the one before which all goes.
SELECT d.id AS device_id, o.first_day, o.end_day
FROM users AS u
JOIN devices AS d ON d.owner_id = u.id
CROSS JOIN LATERAL (
    SELECT
        ((now() - u.datapoints_kept_for) AT TIME ZONE 'UTC')::date AS end_day,
        (
            least(
                (SELECT min(bucket) FROM datapoints_1d WHERE device_id = d.id),
                (
                    SELECT min(first.time)
                    FROM components AS k
                    CROSS JOIN LATERAL (
                        SELECT time FROM datapoints WHERE device_id = k.device_id AND sensor_id = k.sensor_id ORDER BY time LIMIT 1
                    ) AS first
                    WHERE k.device_id = d.id
                )
            ) AT TIME ZONE 'UTC'
        )::date AS first_day
) AS o
WHERE u.datapoints_kept_for IS NOT NULL AND o.first_day < o.end_day
ORDER BY d.id;

-- name: forget_datapoints(device_id, first_day, end_day)$
-- Delete a device's datapoints and buckets of the days from first_day to the one before end_day; how many datapoints.
WITH moved AS (
    UPDATE devices
    SET
        first_reading_at = greatest(first_reading_at, :end_day::timestamp AT TIME ZONE 'UTC'),
        data_version = data_version + 1,
        late_version = late_version + 1
    WHERE id = :device_id
)
SELECT delete_datapoints_of(
    :device_id, :first_day::timestamp AT TIME ZONE 'UTC', :end_day::timestamp AT TIME ZONE 'UTC'
);
