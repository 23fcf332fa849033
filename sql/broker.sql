-- What the broker knows of tokens, devices' and those for forwarding, and what it should know.

-- name: broker_login_changes()
-- What the broker has to be told: which logins to end (`sealed` is null), which to make.
SELECT l.hash, NULL::bytea AS sealed
FROM broker_logins AS l
WHERE NOT EXISTS (SELECT FROM valid_broker_tokens AS t WHERE t.hash = l.hash)
UNION ALL
SELECT t.hash, t.sealed
FROM valid_broker_tokens AS t
WHERE NOT EXISTS (SELECT FROM broker_logins AS l WHERE l.hash = t.hash)
ORDER BY sealed NULLS FIRST;

-- name: wanted_broker_logins()
-- Every token that may log in at the broker.
SELECT hash, sealed FROM valid_broker_tokens ORDER BY hash;

-- name: insert_broker_logins(hashes)!
-- The broker has been told of these.
INSERT INTO broker_logins (hash) SELECT * FROM unnest(:hashes::bytea[]) ON CONFLICT DO NOTHING;

-- name: delete_broker_logins(hashes)!
-- The broker has been told that these have ended.
DELETE FROM broker_logins WHERE hash = ANY(:hashes::bytea[]);

-- name: delete_other_broker_logins(hashes)!
-- The broker knows only these.
DELETE FROM broker_logins WHERE NOT hash = ANY(:hashes::bytea[]);

-- name: update_sealed_tokens(hashes, sealed)!
-- Seal tokens anew.
WITH anew AS (SELECT * FROM unnest(:hashes::bytea[], :sealed::bytea[]) AS n (hash, sealed)),
forwarding AS (UPDATE forwarding_tokens AS t SET sealed = n.sealed FROM anew AS n WHERE t.hash = n.hash)
UPDATE device_tokens AS t SET sealed = n.sealed FROM anew AS n WHERE t.hash = n.hash AND t.revoked_at IS NULL;

-- name: broker_config_changes(most)
-- The configurations that the broker has yet to be told, each under a login that it knows.
SELECT l.hash, t.sealed, c.version, c.config
FROM broker_logins AS l
JOIN valid_device_tokens AS t ON t.hash = l.hash AND t.sealed IS NOT NULL
JOIN latest_device_configs AS c ON c.device_id = t.device_id
WHERE l.config_version IS DISTINCT FROM c.version
ORDER BY l.hash
LIMIT :most;

-- name: wanted_broker_configs()
-- What the broker should keep, under each login that it should know.
SELECT t.hash, c.version, c.config
FROM valid_device_tokens AS t
JOIN latest_device_configs AS c ON c.device_id = t.device_id
WHERE t.sealed IS NOT NULL
ORDER BY t.hash;

-- name: note_broker_configs(hashes, versions)!
-- The broker keeps these versions under these logins.
UPDATE broker_logins AS l
SET config_version = n.version
FROM unnest(:hashes::bytea[], :versions::integer[]) AS n (hash, version)
WHERE l.hash = n.hash;

-- name: note_all_broker_configs(hashes, versions)!
-- The broker keeps these versions under these logins, and nothing under any other.
UPDATE broker_logins AS l
SET config_version = n.version
FROM broker_logins AS b
LEFT JOIN unnest(:hashes::bytea[], :versions::integer[]) AS n (hash, version) ON n.hash = b.hash
WHERE b.hash = l.hash AND l.config_version IS DISTINCT FROM n.version;
