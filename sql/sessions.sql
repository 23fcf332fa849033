-- Sessions and private tokens: with what somebody calls the API.

-- name: insert_session(user_id, application_id, scopes, refresh_hash, code_hash, lifetime, client, network)$
-- Begin a session that lasts for an interval, and return its id.
INSERT INTO sessions (user_id, application_id, scopes, refresh_hash, code_hash, expires_at, client, network)
VALUES (
    :user_id,
    :application_id,
    :scopes::text[],
    :refresh_hash,
    :code_hash,
    now() + :lifetime::interval,
    :client,
    :network::cidr
)
RETURNING id;

-- name: user_by_session(id)^
-- Whose session this is, if it has not ended and its user is not archived.
SELECT u.*, s.id AS session_id, s.application_id
FROM sessions AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.id = :id AND s.revoked_at IS NULL AND s.expires_at > now() AND u.archived_at IS NULL;

-- name: session_to_refresh(id)^
-- A session that has not ended, whose user is not archived.
SELECT s.id, s.user_id, s.application_id, s.scopes, s.refresh_hash
FROM sessions AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.id = :id AND s.revoked_at IS NULL AND s.expires_at > now() AND u.archived_at IS NULL;

-- name: rotate_session(id, old_hash, new_hash, lifetime, client, network)!
-- Put a new refresh token in the place of the old one, which must be the valid one; 0 rows: it is not.
UPDATE sessions
SET
    refresh_hash = :new_hash,
    refreshed_at = now(),
    expires_at = now() + :lifetime::interval,
    client = :client,
    network = :network::cidr
WHERE id = :id AND refresh_hash = :old_hash AND revoked_at IS NULL AND expires_at > now();

-- name: sessions_of_user(user_id, limit, offset)
-- A page of the sessions of a user that have not ended, of sign-ins and of applications, newest first.
SELECT
    s.id,
    a.name AS application,
    s.client,
    s.network::text AS network,
    s.scopes,
    s.created_at,
    s.refreshed_at,
    s.expires_at
FROM sessions AS s
LEFT JOIN applications AS a ON a.id = s.application_id
WHERE s.user_id = :user_id AND s.revoked_at IS NULL AND s.expires_at > now()
ORDER BY s.created_at DESC, s.id
LIMIT :limit OFFSET :offset;

-- name: count_sessions_of_user(user_id)$
-- How many sessions of a user have not ended.
SELECT count(*) FROM sessions WHERE user_id = :user_id AND revoked_at IS NULL AND expires_at > now();

-- name: revoke_session_of_user(id, user_id)!
-- End a session of a user's; 0 rows: there is none.
UPDATE sessions
SET revoked_at = now()
WHERE id = :id AND user_id = :user_id AND revoked_at IS NULL AND expires_at > now();

-- name: revoke_session(id)!
-- End a session, and with it all its tokens.
UPDATE sessions SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL;

-- name: revoke_sessions_of_user(user_id, but)!
-- End all sessions of a user, but for one where `but` is not null.
UPDATE sessions
SET revoked_at = now()
WHERE user_id = :user_id AND id IS DISTINCT FROM :but::uuid AND revoked_at IS NULL;

-- name: delete_old_sessions()!
-- Drop sessions that ended a day ago.
DELETE FROM sessions WHERE least(expires_at, revoked_at) < now() - interval '1 day';

-- name: insert_private_token(user_id, name, scopes, hash, expires_at)^
-- Make a private token and return what its owner sees of it.
INSERT INTO private_tokens (user_id, name, scopes, hash, expires_at)
VALUES (:user_id, :name, :scopes::text[], :hash, :expires_at)
RETURNING id, name, scopes, created_at, expires_at, last_used_at;

-- name: user_by_private_token(hash)^
-- Whose private token this is, if it is valid and its user is not archived.
SELECT u.*, t.id AS token_id, t.scopes AS token_scopes
FROM private_tokens AS t
JOIN users AS u ON u.id = t.user_id
WHERE
    t.hash = :hash
    AND t.revoked_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > now())
    AND u.archived_at IS NULL;

-- name: touch_private_token(id)!
-- Note that a private token was used, at most once a minute.
UPDATE private_tokens
SET last_used_at = now()
WHERE id = :id AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');

-- name: private_tokens_of_user(user_id, limit, offset)
-- A page of the private tokens of a user that are not revoked, newest first.
SELECT id, name, scopes, created_at, expires_at, last_used_at
FROM private_tokens
WHERE user_id = :user_id AND revoked_at IS NULL
ORDER BY id DESC
LIMIT :limit OFFSET :offset;

-- name: count_private_tokens_of_user(user_id)$
-- How many private tokens of a user are not revoked.
SELECT count(*) FROM private_tokens WHERE user_id = :user_id AND revoked_at IS NULL;

-- name: revoke_private_token(id, user_id)!
-- Make a private token of a user's invalid.
UPDATE private_tokens SET revoked_at = now() WHERE id = :id AND user_id = :user_id AND revoked_at IS NULL;
