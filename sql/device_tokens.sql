-- The tokens by which devices are known.

-- name: insert_device_token(device_id, hash, sealed, expires_at)^
-- Let a device be known by a token; returns no row where somebody has that token already.
INSERT INTO device_tokens (device_id, hash, sealed, expires_at)
VALUES (:device_id, :hash, :sealed, :expires_at)
ON CONFLICT (hash) DO NOTHING
RETURNING id, created_at, expires_at, last_used_at;

-- name: device_id_of_token(hash)$
-- Which device a token was made for, valid or not.
SELECT device_id FROM device_tokens WHERE hash = :hash;

-- name: tokens_of_device(device_id)
-- A device's tokens that are not revoked, the newest first.
SELECT id, created_at, expires_at, last_used_at
FROM device_tokens
WHERE device_id = :device_id AND revoked_at IS NULL
ORDER BY id DESC;

-- name: revoke_device_token(id, device_id)!
-- End a token for good.
UPDATE device_tokens
SET revoked_at = now(), sealed = NULL
WHERE id = :id AND device_id = :device_id AND revoked_at IS NULL;
