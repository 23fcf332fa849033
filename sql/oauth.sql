-- Applications, and the codes by which they get at a user's session.

-- name: insert_application(owner_id, name, client_id, secret_hash, redirect_uris, scopes)$
-- Register an application and return its id.
INSERT INTO applications (owner_id, name, client_id, secret_hash, redirect_uris, scopes)
VALUES (:owner_id, :name, :client_id, :secret_hash, :redirect_uris::text[], :scopes::text[])
RETURNING id;

-- name: applications_of_user(owner_id, limit, offset)
-- A page of the applications that a user has registered, newest first.
SELECT * FROM applications WHERE owner_id = :owner_id ORDER BY id DESC LIMIT :limit OFFSET :offset;

-- name: count_applications_of_user(owner_id)$
-- How many applications a user has registered.
SELECT count(*) FROM applications WHERE owner_id = :owner_id;

-- name: application_by_id(id)^
-- One application.
SELECT * FROM applications WHERE id = :id;

-- name: application_to_change(id)^
-- One application, kept from others until the transaction ends.
SELECT * FROM applications WHERE id = :id FOR NO KEY UPDATE;

-- name: application_by_client_id(client_id)^
-- One application with its owner's name, if its owner is not archived.
SELECT a.*, u.username AS owner_username
FROM applications AS a
JOIN users AS u ON u.id = a.owner_id
WHERE a.client_id = :client_id AND u.archived_at IS NULL;

-- name: update_application(id, name, redirect_uris, scopes)!
-- Describe an application anew.
UPDATE applications
SET name = :name, redirect_uris = :redirect_uris::text[], scopes = :scopes::text[], updated_at = now()
WHERE id = :id;

-- name: set_application_secret(id, secret_hash)!
-- Give an application another secret.
UPDATE applications SET secret_hash = :secret_hash, updated_at = now() WHERE id = :id;

-- name: delete_application(id)!
-- Delete an application, and with it all its sessions.
DELETE FROM applications WHERE id = :id;

-- name: insert_authorization_code(hash, application_id, user_id, redirect_uri, scopes, code_challenge)!
-- Keep a code for a minute.
INSERT INTO authorization_codes (hash, application_id, user_id, redirect_uri, scopes, code_challenge, expires_at)
VALUES (
    :hash, :application_id, :user_id, :redirect_uri, :scopes::text[], :code_challenge, now() + interval '1 minute'
);

-- name: take_authorization_code(hash, application_id)^
-- Use up a code of an application's, if it is still valid.
DELETE FROM authorization_codes
WHERE hash = :hash AND application_id = :application_id AND expires_at > now()
RETURNING *;

-- name: revoke_sessions_of_code(code_hash)!
-- End the session that a code has made: the code has been seen a second time.
UPDATE sessions SET revoked_at = now() WHERE code_hash = :code_hash AND revoked_at IS NULL;

-- name: delete_old_authorization_codes()!
-- Drop the codes that nobody came for.
DELETE FROM authorization_codes WHERE expires_at < now();

-- name: session_of_application(id)^
-- A session of an application with its user's name, ended or not.
SELECT
    s.*,
    a.client_id,
    u.username,
    s.revoked_at IS NULL AND s.expires_at > now() AND u.archived_at IS NULL AS active
FROM sessions AS s
JOIN applications AS a ON a.id = s.application_id
JOIN users AS u ON u.id = s.user_id
WHERE s.id = :id;
