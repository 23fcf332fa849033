-- Archives: which there are, what they have published, and what has changed since.

-- name: insert_archive(owner_id, device_id, experiment_id, period, question)^
-- Make an archive; it is due at once.
INSERT INTO archives (owner_id, device_id, experiment_id, period, question)
VALUES (:owner_id, :device_id, :experiment_id, :period, :question)
RETURNING *, 0::bigint AS editions;

-- name: archive_by_id(id)^
-- One archive, and how many editions it has.
SELECT a.*, (SELECT count(*) FROM archive_editions AS e WHERE e.archive_id = a.id) AS editions
FROM archives AS a
WHERE id = :id;

-- name: archives_of_user(owner_id, limit, offset)
-- A page of a user's archives, newest first.
SELECT a.*, (SELECT count(*) FROM archive_editions AS e WHERE e.archive_id = a.id) AS editions
FROM archives AS a
WHERE owner_id = :owner_id
ORDER BY id DESC
LIMIT :limit OFFSET :offset;

-- name: count_archives_of_user(owner_id)$
-- How many archives a user has.
SELECT count(*) FROM archives WHERE owner_id = :owner_id;

-- name: delete_archive(id)!
-- Forget an archive with its editions; the purge job finds their files.
DELETE FROM archives WHERE id = :id;

-- name: archive_ids(ids)
-- Which of these archives there are.
SELECT id FROM archives WHERE id = ANY(:ids::integer[]);

-- name: editions_of_archive(archive_id)
-- Everything an archive has published, by period, the newest version first.
SELECT * FROM archive_editions WHERE archive_id = :archive_id ORDER BY range_start, version DESC;

-- name: edition_by_filename(archive_id, filename)^
-- The edition that a file belongs to.
SELECT * FROM archive_editions WHERE archive_id = :archive_id AND filename = :filename;

-- name: newest_edition(archive_id, range_start)^
-- What was last published of a period.
SELECT * FROM archive_editions
WHERE archive_id = :archive_id AND range_start = :range_start
ORDER BY version DESC
LIMIT 1;

-- name: insert_edition(archive_id, range_start, range_end, version, reason, filename, rows, bytes, sha256, calibration_ids)!
-- Publish a file; 0 rows: the archive was deleted. UniqueViolation: somebody else has published that version.
INSERT INTO archive_editions (
    archive_id, range_start, range_end, version, reason, filename, rows, bytes, sha256, calibration_ids
)
SELECT
    id,
    :range_start::timestamptz,
    :range_end::timestamptz,
    :version::integer,
    :reason::text,
    :filename::text,
    :rows::bigint,
    :bytes::bigint,
    :sha256::text,
    :calibration_ids::integer[]
FROM archives
WHERE id = :archive_id
FOR KEY SHARE;

-- name: due_archives()
-- The archives that a worker should look at now.
SELECT id FROM archives WHERE due_at <= now() ORDER BY due_at;

-- name: claim_archive(id, lease_s)^
-- Take a due archive for `lease_s` seconds; no row where somebody else has it.
UPDATE archives SET due_at = now() + make_interval(secs => :lease_s)
WHERE id = :id AND due_at <= now()
RETURNING *, now() AS claimed_at;

-- name: keep_archive(id, published_until, lease_s)!
-- A period is done: keep the archive for another `lease_s` seconds; 0 rows: it was deleted.
UPDATE archives
SET
    published_until = greatest(published_until, :published_until::timestamptz),
    due_at = now() + make_interval(secs => :lease_s)
WHERE id = :id;

-- name: end_archive_run(id, changes_seen_until, error, wait_s)!
-- Look at an archive again in `wait_s` seconds; `changes_seen_until` is null where not all of them have been published.
UPDATE archives
SET
    changes_seen_until = coalesce(:changes_seen_until, changes_seen_until),
    error = :error,
    due_at = now() + make_interval(secs => :wait_s)
WHERE id = :id;

-- name: rollup_horizon()$
-- Writes below this are marked; those above it are not.
SELECT horizon FROM rollup_horizon;

-- name: changed_days(device_ids, since)
-- The days (UTC) of these devices that have changed since a time.
SELECT DISTINCT day FROM archive_changes WHERE device_id = ANY(:device_ids::integer[]) AND changed_at >= :since ORDER BY day;

-- name: delete_seen_changes()!
-- Forget the changes that every archive has seen.
DELETE FROM archive_changes WHERE changed_at < (SELECT coalesce(min(changes_seen_until), now()) FROM archives);
