-- Files of readings that are uploaded, and how far they have been read.

-- name: insert_upload(device_id, filename, content, size, dry_run)$
-- Keep a file to be read.
INSERT INTO uploads (device_id, filename, content, size, dry_run)
VALUES (:device_id, :filename, :content, :size, :dry_run)
RETURNING id;

-- name: upload(id)^
-- One upload with the owner of its device.
SELECT u.id, u.device_id, d.owner_id, u.filename, u.size, u.dry_run, u.state, u.percent, u.lines_read, u.received, u.stored, u.duplicate, u.rejected, u.errors, u.created_at, u.finished_at
FROM uploads AS u
JOIN devices AS d ON d.id = u.device_id
WHERE u.id = :id AND d.archived_at IS NULL;

-- name: uploads_of_device(device_id)
-- The latest uploads of a device, the newest first.
SELECT id, device_id, filename, size, dry_run, state, percent, lines_read, received, stored, duplicate, rejected, errors, created_at, finished_at
FROM uploads
WHERE device_id = :device_id
ORDER BY id DESC
LIMIT 100;

-- name: claim_upload(id, lease_s)^
-- Take an upload that is due, for so many seconds.
UPDATE uploads
SET state = 'running', due_at = now() + :lease_s * INTERVAL '1 second'
WHERE id = :id AND state IN ('queued', 'running') AND due_at <= now()
RETURNING id, device_id, content, size, dry_run, lines_read, rejected;

-- name: move_upload(id, after, lease_s, percent, lines_read, stored, duplicate, rejected, errors)!
-- Count a part, the one after line `after`, that is written in the same transaction; 0 rows: another worker has read it.
UPDATE uploads
SET
    due_at = now() + :lease_s * INTERVAL '1 second',
    percent = :percent,
    lines_read = :lines_read,
    received = received + :stored + :duplicate + :rejected,
    stored = stored + :stored,
    duplicate = duplicate + :duplicate,
    rejected = rejected + :rejected,
    errors = errors || :errors::jsonb
WHERE id = :id AND state = 'running' AND lines_read = :after;

-- name: finish_upload(id, state, errors)!
-- The file is read to its end, or cannot be read, as the first error says; its content is no longer needed.
UPDATE uploads
SET state = :state, percent = 100, content = NULL, finished_at = now(), errors = :errors::jsonb || errors
WHERE id = :id;

-- name: due_uploads()
-- What waits for a worker.
SELECT id FROM uploads WHERE state IN ('queued', 'running') AND due_at <= now() ORDER BY due_at;

-- name: delete_old_uploads()!
-- Drop what became of uploads after 90 days.
DELETE FROM uploads WHERE created_at < now() - INTERVAL '90 days';
