-- Devices that are being set up.

-- name: insert_orphan(session_hash, session_sealed, token_hash, token_sealed, name, description, exposure, latitude, longitude, user_tags)$
-- Begin to set up a device; returns null where another device or orphan has the token.
INSERT INTO orphan_devices (
    session_hash, session_sealed, token_hash, token_sealed, name, description, exposure, latitude, longitude, user_tags
)
SELECT :session_hash, :session_sealed, :token_hash, :token_sealed, :name, :description, :exposure, :latitude, :longitude, :user_tags
WHERE NOT EXISTS (SELECT FROM device_tokens WHERE hash = :token_hash)
ON CONFLICT (token_hash) DO NOTHING
RETURNING id;

-- name: orphan_by_session(session_hash)^
-- The device that a session sets up. A message under its token, which is in quarantine as nobody's, is the handshake.
SELECT o.*, EXISTS (
    SELECT FROM quarantine AS q
    WHERE q.token_hash = o.token_hash AND q.device_id IS NULL AND q.received_at >= o.created_at
) AS device_handshake
FROM orphan_devices AS o
WHERE o.session_hash = :session_hash;

-- name: hold_orphan(id)^
-- Keep a device that is being set up from others until the transaction ends.
SELECT id FROM orphan_devices WHERE id = :id FOR NO KEY UPDATE;

-- name: update_orphan(id, name, description, exposure, latitude, longitude, user_tags)!
-- Describe a device anew that is being set up.
UPDATE orphan_devices
SET
    name = :name,
    description = :description,
    exposure = :exposure,
    latitude = :latitude,
    longitude = :longitude,
    user_tags = :user_tags,
    updated_at = now()
WHERE id = :id;

-- name: delete_orphan(id)!
-- Forget a device that is being set up; 0 rows: somebody was faster.
DELETE FROM orphan_devices WHERE id = :id;

-- name: delete_old_orphans()!
-- Forget the devices that nobody has gone on to set up for a week.
DELETE FROM orphan_devices WHERE updated_at < now() - interval '7 days';

-- name: take_quarantine_of_token(token_hash, since, most)
-- Take what came under a token while it was nobody's out of quarantine, the oldest first.
WITH taken AS (
    DELETE FROM quarantine
    WHERE id IN (
        SELECT id
        FROM quarantine
        WHERE
            token_hash = :token_hash
            AND device_id IS NULL
            AND reason = 'unknown_token'
            AND received_at >= :since
        ORDER BY id
        LIMIT :most
    )
    RETURNING id, topic, payload
)
SELECT topic, payload FROM taken ORDER BY id;

-- name: overtaken_tokens()
-- Tokens that were registered while an ingestor was still putting their messages into quarantine as nobody's.
SELECT DISTINCT t.hash, t.device_id, t.created_at
FROM quarantine AS q
JOIN device_tokens AS t ON t.hash = q.token_hash
JOIN devices AS d ON d.id = t.device_id
WHERE
    q.device_id IS NULL
    AND q.reason = 'unknown_token'
    AND q.received_at >= t.created_at
    AND t.revoked_at IS NULL
    AND d.archived_at IS NULL
ORDER BY t.device_id;

-- name: username_of_email(email)$
-- The username of an account, by its e-mail address in any case.
SELECT username FROM users WHERE lower(email) = lower(:email) AND archived_at IS NULL;

-- name: orphans_that_spoke(session_hashes)
-- Those of these sessions that are not over, each with whether its device has spoken.
SELECT o.session_hash, EXISTS (
    SELECT FROM quarantine AS q
    WHERE q.token_hash = o.token_hash AND q.device_id IS NULL AND q.received_at >= o.created_at
) AS has_spoken
FROM orphan_devices AS o
WHERE o.session_hash = ANY(:session_hashes::bytea[])
ORDER BY o.id;

-- name: announce_orphans()
-- The sessions of devices that have spoken for the first time, sealed; each is returned once.
UPDATE orphan_devices AS o
SET announced_at = now()
WHERE
    o.announced_at IS NULL
    AND EXISTS (
        SELECT FROM quarantine AS q
        WHERE q.token_hash = o.token_hash AND q.device_id IS NULL AND q.received_at >= o.created_at
    )
RETURNING o.session_hash, o.session_sealed;
