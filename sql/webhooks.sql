-- Webhooks and their deliveries.

-- name: webhooks_of_user(owner_id)
-- A user's webhooks, the newest first.
SELECT * FROM webhooks WHERE owner_id = :owner_id ORDER BY id DESC;

-- name: webhook_by_id(id)^
-- One webhook.
SELECT * FROM webhooks WHERE id = :id;

-- name: webhook_to_change(id)^
-- One webhook, kept from others until the transaction ends.
SELECT * FROM webhooks WHERE id = :id FOR NO KEY UPDATE;

-- name: insert_webhook(owner_id, url, kinds, secret_hash, secret_sealed, most)^
-- Make a webhook; nothing where its owner has the most there may be already.
INSERT INTO webhooks (owner_id, url, kinds, secret_hash, secret_sealed)
SELECT :owner_id, :url, :kinds::text[], :secret_hash, :secret_sealed
WHERE (SELECT count(*) FROM webhooks WHERE owner_id = :owner_id) < :most
RETURNING *;

-- name: update_webhook(id, url, kinds, enabled)^
-- Change a webhook; to enable one is to try again at once.
UPDATE webhooks
SET
    url = :url,
    kinds = :kinds::text[],
    failures = CASE WHEN :enabled AND disabled_at IS NOT NULL THEN 0 ELSE failures END,
    due_at = CASE WHEN :enabled AND disabled_at IS NOT NULL THEN now() ELSE due_at END,
    disabled_at = CASE WHEN NOT :enabled THEN coalesce(disabled_at, now()) END,
    disabled_reason = CASE WHEN NOT :enabled THEN coalesce(disabled_reason, 'its owner has switched it off') END
WHERE id = :id
RETURNING *;

-- name: rotate_webhook_secret(id, secret_hash, secret_sealed)!
-- Give a webhook another secret; the one it had signs too for a day.
UPDATE webhooks
SET
    old_secret_hash = secret_hash,
    old_secret_sealed = secret_sealed,
    old_secret_until = now() + INTERVAL '1 day',
    secret_hash = :secret_hash,
    secret_sealed = :secret_sealed
WHERE id = :id;

-- name: delete_webhook(id)!
-- Delete a webhook with its deliveries.
DELETE FROM webhooks WHERE id = :id;

-- name: insert_test_delivery(webhook_id)^
-- Have something sent that is no alert.
INSERT INTO webhook_deliveries (webhook_id) VALUES (:webhook_id) RETURNING uuid AS id;

-- name: deliveries_of_webhook(webhook_id, limit, offset)
-- What a webhook was sent, the newest first.
SELECT
    w.uuid AS id,
    a.kind,
    n.phase,
    a.device_id,
    w.state,
    w.attempts,
    w.tried_at,
    w.status,
    w.error,
    w.created_at
FROM webhook_deliveries AS w
LEFT JOIN notifications AS n ON n.id = w.notification_id
LEFT JOIN alerts AS a ON a.id = n.alert_id
WHERE w.webhook_id = :webhook_id
ORDER BY w.id DESC
LIMIT :limit OFFSET :offset;

-- name: deliveries_total(webhook_id)$
-- How many rows that list has.
SELECT count(*) FROM webhook_deliveries WHERE webhook_id = :webhook_id;

-- name: claim_delivery(now, lease_s)^
-- Take what is to be sent next, those that have failed last, from a webhook that no other worker sends to meanwhile.
WITH next AS (
    SELECT w.id AS webhook_id, d.id
    FROM webhooks AS w
    JOIN users AS u ON u.id = w.owner_id AND u.archived_at IS NULL
    CROSS JOIN LATERAL (
        SELECT id
        FROM webhook_deliveries
        WHERE webhook_id = w.id AND state = 'pending'
        ORDER BY attempts, id
        LIMIT 1
    ) AS d
    WHERE w.disabled_at IS NULL AND w.due_at <= :now::timestamptz
    ORDER BY w.due_at, w.id
    LIMIT 1
    FOR UPDATE OF w SKIP LOCKED
),
held AS (
    UPDATE webhooks AS w
    SET due_at = :now::timestamptz + make_interval(secs => :lease_s)
    FROM next
    WHERE w.id = next.webhook_id
    RETURNING w.*
),
claimed AS (
    UPDATE webhook_deliveries AS d
    SET attempts = d.attempts + 1, tried_at = :now
    FROM next
    WHERE d.id = next.id
    RETURNING d.*
)
SELECT
    c.id,
    c.uuid,
    c.attempts,
    c.created_at AS told_at,
    h.id AS webhook_id,
    h.url,
    h.failures,
    h.secret_hash,
    h.secret_sealed,
    CASE WHEN h.old_secret_until > :now::timestamptz THEN h.old_secret_hash END AS old_secret_hash,
    h.old_secret_sealed,
    u.email,
    u.username,
    n.phase,
    a.id AS alert_id,
    a.kind,
    a.subject,
    a.about,
    a.began_at,
    a.ended_at,
    a.device_id,
    n.device_name
FROM claimed AS c
CROSS JOIN held AS h
JOIN users AS u ON u.id = h.owner_id
LEFT JOIN notifications AS n ON n.id = c.notification_id
LEFT JOIN alerts AS a ON a.id = n.alert_id;

-- name: note_delivered(id, webhook_id, status)!
-- It was taken.
WITH delivered AS (
    UPDATE webhook_deliveries SET state = 'delivered', status = :status, error = NULL WHERE id = :id
)
UPDATE webhooks SET failures = 0, due_at = now() WHERE id = :webhook_id;

-- name: note_not_delivered(id, webhook_id, status, error, state, due_at, disabled_reason)!
-- It was not taken, and is pending still or given up. With a reason the webhook is sent nothing any more; one that its
-- owner has switched off meanwhile stays so.
WITH failed AS (
    UPDATE webhook_deliveries SET state = :state, status = :status, error = :error WHERE id = :id
)
UPDATE webhooks
SET
    failures = failures + 1,
    due_at = :due_at,
    disabled_at = CASE WHEN :disabled_reason::text IS NULL THEN disabled_at ELSE coalesce(disabled_at, now()) END,
    disabled_reason = coalesce(disabled_reason, :disabled_reason::text)
WHERE id = :webhook_id;

-- name: delete_old_deliveries()!
-- Forget what was to be sent 30 days ago.
DELETE FROM webhook_deliveries WHERE created_at < now() - INTERVAL '30 days';
