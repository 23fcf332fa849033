-- Accounts.

-- name: insert_user(username, email, password_hash, role, city, country_code, url)$
-- Make an account and return its id; unique violations name users_username_key or users_email_key.
INSERT INTO users (username, email, password_hash, role, city, country_code, url)
VALUES (:username, :email, :password_hash, :role, :city, :country_code, :url)
RETURNING id;

-- name: user_by_id(id)^
-- One account that is not archived.
SELECT * FROM users WHERE id = :id AND archived_at IS NULL;

-- name: user_to_change(id)^
-- One account that is not archived, kept from others until the transaction ends.
SELECT * FROM users WHERE id = :id AND archived_at IS NULL FOR NO KEY UPDATE;

-- name: keep_user(id)^
-- Let an account not be closed before the transaction ends; nothing where it is closed.
SELECT id FROM users WHERE id = :id AND archived_at IS NULL FOR SHARE;

-- name: user_by_login(login)^
-- The account of a username or an e-mail address, in any case; a username cannot hold an @ after its first letter.
SELECT *
FROM users
WHERE (lower(username) = lower(:login) OR lower(email) = lower(:login)) AND archived_at IS NULL;

-- name: user_by_name(id, username)^
-- The account of an id or a username, in any case, that is not archived.
SELECT *
FROM users
WHERE (id = :id::integer OR lower(username) = lower(:username)) AND archived_at IS NULL
ORDER BY id = :id::integer DESC NULLS LAST
LIMIT 1;

-- name: archived_user_by_name(id, username)^
-- The account of an id or a username, in any case, that is in the trash.
SELECT *
FROM users
WHERE (id = :id::integer OR lower(username) = lower(:username)) AND archived_at IS NOT NULL
ORDER BY id = :id::integer DESC NULLS LAST
LIMIT 1;

-- name: update_user(id, username, email, role, city, country_code, url)!
-- Describe an account anew; unique violations name users_username_key or users_email_key.
UPDATE users
SET
    username = :username,
    email = :email,
    role = :role,
    city = :city,
    country_code = :country_code,
    url = :url,
    updated_at = now()
WHERE id = :id AND archived_at IS NULL;

-- name: set_password_hash(id, password_hash)!
-- Give an account another password, or its password another hash.
UPDATE users SET password_hash = :password_hash WHERE id = :id;

-- name: archive_user(id)!
-- Put an account in the trash, for 30 days.
UPDATE users SET archived_at = now() WHERE id = :id AND archived_at IS NULL;

-- name: hold_devices_of_user(user_id)
-- Keep an account's devices from others until the transaction ends, in the order in which all others take devices.
SELECT id FROM devices WHERE owner_id = :user_id ORDER BY id FOR NO KEY UPDATE;

-- name: archive_devices_of_user(user_id)!
-- Archive what an account owns; in the transaction of archive_user, so that both have the same time.
UPDATE devices SET archived_at = now() WHERE owner_id = :user_id AND archived_at IS NULL;

-- name: devices_archived_with_owner(user_id)
-- The devices that were archived together with their owner, and are not being purged.
SELECT d.id
FROM devices AS d
JOIN users AS u ON u.id = d.owner_id AND u.archived_at = d.archived_at
WHERE u.id = :user_id AND NOT EXISTS (SELECT FROM device_purges AS p WHERE p.device_id = d.id)
ORDER BY d.id;

-- name: restore_user(id)!
-- Bring an account back from the trash.
UPDATE users SET archived_at = NULL WHERE id = :id;

-- name: users_to_purge()
-- Accounts that have been in the trash for 30 days and own no device any more, oldest first.
SELECT u.id
FROM users AS u
WHERE
    u.archived_at < now() - interval '30 days'
    AND NOT EXISTS (SELECT FROM devices AS d WHERE d.owner_id = u.id)
ORDER BY u.archived_at;

-- name: delete_user(id)!
-- Delete an account for good, and what belongs to nobody but it.
DELETE FROM users WHERE id = :id AND archived_at < now() - interval '30 days';

-- name: insert_password_reset(hash, user_id)!
-- Let whoever has this token set a new password, for an hour.
INSERT INTO password_resets (hash, user_id, expires_at) VALUES (:hash, :user_id, now() + interval '1 hour');

-- name: user_by_password_reset(hash)^
-- Whose password may be set with this token.
SELECT u.*
FROM password_resets AS r
JOIN users AS u ON u.id = r.user_id
WHERE r.hash = :hash AND r.expires_at > now() AND u.archived_at IS NULL;

-- name: delete_password_reset(hash)!
-- Use up a token; 0 rows: somebody was faster.
DELETE FROM password_resets WHERE hash = :hash AND expires_at > now();

-- name: delete_password_resets_of_user(user_id)!
-- Make every other token of the account useless.
DELETE FROM password_resets WHERE user_id = :user_id;

-- name: delete_old_password_resets()!
-- Drop the tokens that have expired.
DELETE FROM password_resets WHERE expires_at < now();
