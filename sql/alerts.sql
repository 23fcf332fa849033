-- Alerts: what is wrong with devices, and who is told.

-- name: note_receiver(name)!
-- An ingestor can receive. After a break of two minutes, which is more than a restart, it does so since now.
INSERT INTO receivers AS r (name) VALUES (:name)
ON CONFLICT (name) DO UPDATE
SET
    since = CASE WHEN r.seen_at < now() - INTERVAL '2 minutes' THEN now() ELSE r.since END,
    seen_at = now();

-- name: delete_receiver(name)!
-- An ingestor that has been retired.
DELETE FROM receivers WHERE name = :name;

-- name: receiving_since(now)$
-- Since when every device has been heard without a break; null while one or the other is not. Of several ingestors each
-- has its share, which waits at the broker while its own is away; one that is away for a day will not come back. Where
-- there has never been one all devices speak HTTP.
SELECT
    CASE
        WHEN count(*) = 0 THEN '1970-01-01 00:00Z'
        WHEN bool_or(is_here) AND NOT bool_or(is_missed) THEN max(since) FILTER (WHERE is_here)
    END
FROM (
    SELECT
        since,
        seen_at > :now::timestamptz - INTERVAL '2 minutes' AS is_here,
        seen_at BETWEEN :now::timestamptz - INTERVAL '1 day' AND :now::timestamptz - INTERVAL '2 minutes' AS is_missed
    FROM receivers
) AS receiver;

-- name: begin_silences(now, receiving_since)!
-- Devices that have been silent for too long, of the time in which they could be heard. One whose clock was ahead is
-- not taken for silent before its newest reading's time has come: until then a reading does not count as new.
WITH heard AS (
    SELECT d.id, greatest(d.last_received_at, d.last_reading_at) AS last_at, e.interval
    FROM devices AS d
    JOIN expected_intervals AS e ON e.device_id = d.id
    WHERE d.notify_stopped_publishing AND d.archived_at IS NULL AND d.last_reading_at IS NOT NULL
)
INSERT INTO alerts AS begun (device_id, kind, about, began_at)
SELECT id, 'stopped_publishing', jsonb_build_object('heard_at', last_at, 'expected_interval', interval), :now
FROM heard
WHERE greatest(last_at, :receiving_since::timestamptz) < :now::timestamptz - longest_silence(interval)
ORDER BY id
ON CONFLICT (device_id, kind, subject) WHERE ended_at IS NULL DO NOTHING
RETURNING tell_of_alert(begun);

-- name: end_silences(now)!
-- Devices that have been heard again.
UPDATE alerts AS a
SET ended_at = :now
FROM devices AS d
WHERE
    a.kind = 'stopped_publishing'
    AND a.ended_at IS NULL
    AND d.id = a.device_id
    AND greatest(d.last_received_at, d.last_reading_at) > (a.about ->> 'heard_at')::timestamptz
RETURNING tell_of_alert(a);

-- name: begin_low_batteries(now)!
-- Batteries below 15 %, by a reading of now; 1 and less is what kits without a battery, or at the mains, say. Not again
-- within 12 hours.
INSERT INTO alerts AS begun (device_id, kind, subject, about, began_at)
SELECT b.device_id, 'low_battery', b.key, jsonb_build_object('value', b.latest_value, 'unit', '%%'), :now
FROM battery_levels AS b
WHERE
    b.notify_low_battery
    AND b.latest_value > 1
    AND b.latest_value < 15
    AND b.latest_time > :now::timestamptz - longest_silence(b.interval)
    AND NOT EXISTS (
        SELECT
        FROM alerts AS a
        WHERE
            (a.device_id, a.kind, a.subject) = (b.device_id, 'low_battery', b.key)
            AND a.began_at > :now::timestamptz - INTERVAL '12 hours'
    )
ORDER BY b.device_id, b.key
ON CONFLICT (device_id, kind, subject) WHERE ended_at IS NULL DO NOTHING
RETURNING tell_of_alert(begun);

-- name: end_low_batteries(now)!
-- Batteries at 20 % or more again, or at the mains, by a reading of now.
UPDATE alerts AS a
SET ended_at = :now
FROM battery_levels AS b
WHERE
    a.kind = 'low_battery'
    AND a.ended_at IS NULL
    AND (b.device_id, b.key) = (a.device_id, a.subject)
    AND (b.latest_value >= 20 OR b.latest_value <= 1)
    AND b.latest_time > greatest(a.began_at, :now::timestamptz - longest_silence(b.interval))
RETURNING tell_of_alert(a);

-- name: begin_sensor_faults(now)!
-- Components of which the last two values were outside of what their sensor can give, or that have given one value for
-- longer than their sensor does; by readings of now, and not again within 12 hours.
WITH watched AS (
    SELECT
        c.device_id,
        c.sensor_id,
        c.key,
        c.latest_time,
        c.latest_value,
        c.previous_value,
        s.minimum,
        s.maximum,
        s.unit,
        make_interval(secs => s.stuck_after) AS stuck_after
    FROM devices AS d
    JOIN components AS c ON c.device_id = d.id
    JOIN sensors AS s ON s.id = c.sensor_id
    JOIN expected_intervals AS e ON e.device_id = d.id
    WHERE
        d.notify_faulty_sensors
        AND d.archived_at IS NULL
        AND c.latest_time > :now::timestamptz - longest_silence(e.interval)
        AND (s.minimum IS NOT NULL OR s.maximum IS NOT NULL OR s.stuck_after IS NOT NULL)
),
faults AS (
    SELECT
        device_id,
        key,
        'out_of_range' AS kind,
        jsonb_build_object('value', latest_value, 'minimum', minimum, 'maximum', maximum, 'unit', unit) AS about
    FROM watched
    WHERE
        (latest_value < minimum OR latest_value > maximum)
        AND (previous_value < minimum OR previous_value > maximum)
    UNION ALL
    SELECT w.device_id, w.key, 'stuck' AS kind, jsonb_build_object('value', w.latest_value, 'unit', w.unit, 'since', p.first_time) AS about
    FROM watched AS w
    CROSS JOIN LATERAL (
        SELECT min(time) AS first_time, min(value) AS least, max(value) AS most, count(*) AS n
        FROM datapoints
        WHERE device_id = w.device_id AND sensor_id = w.sensor_id AND time > w.latest_time - w.stuck_after AND time <= w.latest_time
    ) AS p
    WHERE
        w.latest_value = w.previous_value
        AND p.least = p.most
        AND p.n >= 5
        AND p.first_time < w.latest_time - 0.8 * w.stuck_after
)
INSERT INTO alerts AS begun (device_id, kind, subject, about, began_at)
SELECT f.device_id, f.kind, f.key, f.about, :now
FROM faults AS f
WHERE NOT EXISTS (
    SELECT
    FROM alerts AS a
    WHERE
        (a.device_id, a.kind, a.subject) = (f.device_id, f.kind, f.key)
        AND a.began_at > :now::timestamptz - INTERVAL '12 hours'
)
ORDER BY f.device_id, f.key, f.kind
ON CONFLICT (device_id, kind, subject) WHERE ended_at IS NULL DO NOTHING
RETURNING tell_of_alert(begun);

-- name: end_sensor_faults(now)!
-- Components of which the last two values are possible again, or that give another value than the one they were stuck at.
UPDATE alerts AS a
SET ended_at = :now
FROM components AS c
JOIN sensors AS s ON s.id = c.sensor_id
WHERE
    a.kind IN ('out_of_range', 'stuck')
    AND a.ended_at IS NULL
    AND (c.device_id, c.key) = (a.device_id, a.subject)
    AND CASE a.kind
        WHEN 'stuck' THEN c.latest_value <> (a.about ->> 'value')::double precision
        ELSE
            coalesce(c.latest_value >= s.minimum AND c.previous_value >= s.minimum, s.minimum IS NULL)
            AND coalesce(c.latest_value <= s.maximum AND c.previous_value <= s.maximum, s.maximum IS NULL)
    END
RETURNING tell_of_alert(a);

-- name: begin_device_errors(now)!
-- What devices have reported since an hour ago and nobody has resolved.
INSERT INTO alerts AS begun (device_id, kind, subject, about, began_at)
SELECT DISTINCT ON (e.device_id, e.component, e.code)
    e.device_id,
    'device_error',
    concat_ws(' ', e.code, e.component),
    jsonb_build_object('code', e.code, 'component', e.component, 'message', e.message),
    :now::timestamptz
FROM device_errors AS e
JOIN devices AS d ON d.id = e.device_id
WHERE d.notify_errors AND d.archived_at IS NULL AND e.resolved_at IS NULL AND e.received_at > :now::timestamptz - INTERVAL '1 hour'
ORDER BY e.device_id, e.component, e.code, e.last_time DESC
ON CONFLICT (device_id, kind, subject) WHERE ended_at IS NULL DO NOTHING
RETURNING tell_of_alert(begun);

-- name: end_device_errors(now)!
-- Errors that are resolved, or have not been reported for a day.
UPDATE alerts AS a
SET ended_at = :now
WHERE
    a.kind = 'device_error'
    AND a.ended_at IS NULL
    AND NOT EXISTS (
        SELECT
        FROM device_errors AS e
        WHERE
            e.device_id = a.device_id
            AND concat_ws(' ', e.code, e.component) = a.subject
            AND e.resolved_at IS NULL
            AND e.received_at > :now::timestamptz - INTERVAL '1 day'
    )
RETURNING tell_of_alert(a);

-- name: make_digests(now)!
-- Gather what no mail tells of yet, for each owner who has had none for a quarter of an hour.
WITH made AS (
    INSERT INTO digests (owner_id, created_at)
    SELECT DISTINCT n.owner_id, :now::timestamptz
    FROM notifications AS n
    WHERE
        n.by_mail
        AND n.digest_id IS NULL
        AND is_told_here(n.owner_id)
        AND NOT EXISTS (
            SELECT FROM digests AS g WHERE g.owner_id = n.owner_id AND g.created_at > :now::timestamptz - INTERVAL '15 minutes'
        )
    RETURNING id, owner_id
)
UPDATE notifications AS n
SET digest_id = made.id
FROM made
WHERE n.owner_id = made.owner_id AND n.by_mail AND n.digest_id IS NULL;

-- name: unsent_digests()
-- Digests whose mail is not on its way yet, with whom it is for.
SELECT g.id, u.email, u.username
FROM digests AS g
JOIN users AS u ON u.id = g.owner_id
WHERE g.queued_at IS NULL AND u.archived_at IS NULL
ORDER BY g.id;

-- name: digest_items(id)
-- What a digest tells, the newest last.
SELECT a.id, a.kind, a.subject, a.about, n.phase, n.created_at, a.device_id, n.device_name
FROM notifications AS n
JOIN alerts AS a ON a.id = n.alert_id
WHERE n.digest_id = :id
ORDER BY n.id;

-- name: note_digest_queued(id)!
-- Its mail is on its way.
UPDATE digests SET queued_at = now() WHERE id = :id;

-- name: switch_off(digest_id)!
-- Stop telling an owner of what a digest told: these kinds of alerts of these devices, as far as they are theirs still.
WITH told AS (
    SELECT a.device_id, array_agg(DISTINCT a.kind) AS kinds
    FROM digests AS g
    JOIN notifications AS n ON n.digest_id = g.id
    JOIN alerts AS a ON a.id = n.alert_id
    JOIN devices AS d ON d.id = a.device_id AND d.owner_id = g.owner_id
    WHERE g.id = :digest_id
    GROUP BY a.device_id
),
held AS (
    SELECT d.id, t.kinds FROM devices AS d JOIN told AS t ON t.device_id = d.id ORDER BY d.id FOR NO KEY UPDATE OF d
)
UPDATE devices AS d
SET
    notify_stopped_publishing = notify_stopped_publishing AND NOT 'stopped_publishing' = ANY(t.kinds),
    notify_low_battery = notify_low_battery AND NOT 'low_battery' = ANY(t.kinds),
    notify_faulty_sensors = notify_faulty_sensors AND NOT t.kinds && '{out_of_range,stuck}',
    notify_errors = notify_errors AND NOT 'device_error' = ANY(t.kinds),
    updated_at = now()
FROM held AS t
WHERE d.id = t.id;

-- name: delete_old_alerts()!
-- Forget alerts that ended 90 days ago, and what was told of them.
DELETE FROM alerts WHERE ended_at < now() - INTERVAL '90 days';

-- name: delete_old_digests()!
-- Forget which mails were sent 90 days ago: their links say so.
DELETE FROM digests WHERE created_at < now() - INTERVAL '90 days';
