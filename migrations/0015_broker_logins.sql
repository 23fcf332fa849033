-- How the broker knows device tokens. It checks logins itself, so it has to be told about each token that is made, and
-- about each that ends.

-- The token, encrypted with a key that is not in the database (app/sealing.py); null where it is too short to log in
-- with. The broker wants it in clear when it is told, and the platform when it sends to a device's topics.
ALTER TABLE device_tokens ADD COLUMN sealed bytea;

-- A token that is revoked is never needed again.
ALTER TABLE device_tokens ADD CHECK (revoked_at IS NULL OR sealed IS NULL);

-- The one place that says when a token is valid.
CREATE VIEW valid_device_tokens AS
SELECT t.id, t.device_id, t.hash, t.sealed, t.expires_at, t.last_used_at
FROM device_tokens AS t
JOIN devices AS d ON d.id = t.device_id
WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) AND d.archived_at IS NULL;

-- What this site's broker has been told, by the token's SHA-256: no foreign key, for it outlives the token until the
-- broker has been told that too. Not to be replicated.
CREATE TABLE broker_logins (hash bytea PRIMARY KEY);
