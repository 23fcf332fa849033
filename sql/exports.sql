-- Exports: asked for, made by one worker at a time, mailed once, purged.

-- name: insert_export(owner_id, device_ids, question)^
-- Queue an export.
INSERT INTO exports (owner_id, device_ids, question) VALUES (:owner_id, :device_ids::integer[], :question) RETURNING *;

-- name: export_by_id(id)^
-- One export.
SELECT * FROM exports WHERE id = :id;

-- name: exports_of_user(owner_id, limit, offset)
-- A page of a user's exports, newest first.
SELECT * FROM exports WHERE owner_id = :owner_id ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_exports_of_user(owner_id)$
-- How many exports a user has.
SELECT count(*) FROM exports WHERE owner_id = :owner_id;

-- name: count_unfinished_exports(owner_id)$
-- How many of a user's exports wait or run.
SELECT count(*) FROM exports WHERE owner_id = :owner_id AND state IN ('queued', 'running');

-- name: last_csv_archive(owner_id, device_id)$
-- How many seconds ago a user last asked for a device's CSV archive; those that failed do not count.
SELECT extract(EPOCH FROM now() - max(created_at))::double precision
FROM exports
WHERE
    owner_id = :owner_id AND device_ids = ARRAY[:device_id::integer] AND question ->> 'csv_archive' = 'true'
    AND state NOT IN ('failed', 'cancelled');

-- name: due_exports()
-- For each user the export that a worker should take now, unless one of theirs is running.
SELECT DISTINCT ON (owner_id) id, owner_id, attempt
FROM exports AS e
WHERE
    state IN ('queued', 'running')
    AND due_at <= now()
    AND NOT EXISTS (
        SELECT FROM exports AS other
        WHERE other.owner_id = e.owner_id AND other.state = 'running' AND other.due_at > now()
    )
ORDER BY owner_id, state = 'running' DESC, id;

-- name: claim_export(id, lease_s)^
-- Take a due export for `lease_s` seconds; no row where somebody else has it. UniqueViolation: its user has one running.
UPDATE exports
SET state = 'running', attempt = attempt + 1, percent = 0, error = NULL, due_at = now() + make_interval(secs => :lease_s)
WHERE id = :id AND state IN ('queued', 'running') AND due_at <= now()
RETURNING *;

-- name: keep_export(id, attempt, percent, lease_s)!
-- Say how far a running export is and keep it for another `lease_s` seconds; 0 rows: it is not ours any more.
UPDATE exports
SET percent = :percent, due_at = now() + make_interval(secs => :lease_s)
WHERE id = :id AND attempt = :attempt AND state = 'running';

-- name: finish_export(id, attempt, filename, rows, bytes, sha256, kept_s)!
-- The file lies in the store, for `kept_s` seconds; its mail is due. 0 rows: it is not ours any more.
UPDATE exports
SET
    state = 'finished', percent = 100, filename = :filename, rows = :rows, bytes = :bytes, sha256 = :sha256,
    finished_at = now(), expires_at = now() + make_interval(secs => :kept_s), mail_due_at = now()
WHERE id = :id AND attempt = :attempt AND state = 'running';

-- name: retry_export(id, attempt, error, wait_s)!
-- Something went wrong that may pass: try again in `wait_s` seconds.
UPDATE exports
SET state = 'queued', error = :error, due_at = now() + make_interval(secs => :wait_s)
WHERE id = :id AND attempt = :attempt AND state = 'running';

-- name: fail_export(id, attempt, error)!
-- Give an export up for good, and say why.
UPDATE exports
SET state = 'failed', error = :error, finished_at = now()
WHERE id = :id AND attempt = :attempt AND state = 'running';

-- name: cancel_export(id)!
-- Stop an export that waits or runs.
UPDATE exports SET state = 'cancelled', finished_at = now() WHERE id = :id AND state IN ('queued', 'running');

-- name: delete_export(id)!
-- Forget an export; its worker stops when it next says how far it is.
DELETE FROM exports WHERE id = :id;

-- name: due_export_mails()
-- The finished exports of which a mail should be sent now.
SELECT id, mail_attempt FROM exports WHERE mail_due_at <= now() ORDER BY mail_due_at;

-- name: claim_export_mail(id, waits_s)^
-- Take a due mail; the next try is due after this one's waiting time, should it fail or its worker die. The last
-- waiting time over, there is no next one.
UPDATE exports AS e
SET mail_attempt = mail_attempt + 1, mail_due_at = now() + make_interval(secs => (:waits_s::integer[])[mail_attempt + 1])
FROM users AS u
WHERE e.id = :id AND u.id = e.owner_id AND e.mail_due_at <= now()
RETURNING e.*, u.email;

-- name: set_export_mailed(id)!
-- The mail server has taken the mail.
UPDATE exports SET mailed_at = now(), mail_due_at = NULL, error = NULL WHERE id = :id;

-- name: set_export_not_mailed(id, error, give_up)!
-- The mail server has not taken the mail.
UPDATE exports SET error = :error, mail_due_at = CASE WHEN :give_up THEN NULL ELSE mail_due_at END WHERE id = :id;

-- name: delete_expired_exports()
-- Forget the exports whose file has had its time, and those that never got one within 30 days; returns their ids.
DELETE FROM exports
WHERE expires_at < now() OR (state IN ('failed', 'cancelled') AND finished_at < now() - INTERVAL '30 days')
RETURNING id;

-- name: export_ids(ids)
-- Which of these exports there are.
SELECT id FROM exports WHERE id = ANY(:ids::integer[]);

-- name: exportable_devices(ids, viewer_id, viewer_is_admin)
-- Those of these devices whose readings the viewer may take away.
SELECT
    d.id,
    d.uuid,
    d.name,
    d.description,
    d.is_private,
    d.data_version,
    d.exposure,
    d.elevation,
    d.latitude,
    d.longitude,
    d.city,
    d.country_code,
    k.slug AS kit_slug,
    k.name AS kit_name,
    u.username AS owner_username
FROM devices AS d
JOIN users AS u ON u.id = d.owner_id
LEFT JOIN kits AS k ON k.id = d.kit_id
WHERE
    d.id = ANY(:ids::integer[])
    AND d.archived_at IS NULL
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
ORDER BY d.id;

-- name: exportable_components(device_ids)
-- The components of these devices in the order of columns: by sensor, so that each file of a kit has the same.
SELECT c.device_id, c.sensor_id, c.key, s.name AS sensor, coalesce(s.unit, m.unit) AS unit, m.name AS measurement
FROM components AS c
JOIN sensors AS s ON s.id = c.sensor_id
LEFT JOIN measurements AS m ON m.id = s.measurement_id
WHERE c.device_id = ANY(:device_ids::integer[])
ORDER BY c.device_id, c.sensor_id;

-- name: datapoints_extent(device_id, sensor_ids)^
-- The times of the first and the last datapoint of these components; nulls where there is none.
SELECT min(e.first_time) AS first_time, max(e.last_time) AS last_time
FROM unnest(:sensor_ids::integer[]) AS s (sensor_id)
CROSS JOIN LATERAL (
    SELECT
        (SELECT time FROM datapoints WHERE device_id = :device_id AND sensor_id = s.sensor_id ORDER BY time LIMIT 1) AS first_time,
        (SELECT time FROM datapoints WHERE device_id = :device_id AND sensor_id = s.sensor_id ORDER BY time DESC LIMIT 1) AS last_time
) AS e;

-- name: datapoints_slice(device_id, sensor_ids, start, before, most, with_value, with_raw)
-- Datapoints of some components, a row of arrays each, oldest first. In the arrays NaN stands for null, and 0 for no
-- calibration; those that were not asked for are null. A component that has `most` datapoints may have more.
SELECT s.sensor_id, d.time, d.value, d.raw, d.calibration_ids
FROM unnest(:sensor_ids::integer[]) WITH ORDINALITY AS s (sensor_id, position)
CROSS JOIN LATERAL (
    SELECT
        array_agg(time) AS time,
        array_agg(coalesce(value, 'NaN')) FILTER (WHERE :with_value) AS value,
        array_agg(coalesce(raw, 'NaN')) FILTER (WHERE :with_raw) AS raw,
        array_agg(coalesce(calibration_id, 0)) FILTER (WHERE :with_value) AS calibration_ids
    FROM (
        SELECT time, value, raw, calibration_id
        FROM datapoints
        WHERE device_id = :device_id AND sensor_id = s.sensor_id AND time >= :start AND time < :before
        ORDER BY time
        LIMIT :most
    ) AS r
) AS d
WHERE d.time IS NOT NULL
ORDER BY s.position;
