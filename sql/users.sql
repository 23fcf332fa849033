-- Accounts.

-- name: insert_user(username, email, password_hash, role, city, country_code, url)$
-- Make an account and return its id; unique violations name users_username_key or users_email_key.
INSERT INTO users (username, email, password_hash, role, city, country_code, url)
VALUES (:username, :email, :password_hash, :role, :city, :country_code, :url)
RETURNING id;

-- name: user_by_id(id)^
-- One account that is not archived.
SELECT * FROM users WHERE id = :id AND archived_at IS NULL;

-- name: user_by_login(login)^
-- The account of a username or an e-mail address, in any case; a username cannot hold an @ after its first letter.
SELECT *
FROM users
WHERE (lower(username) = lower(:login) OR lower(email) = lower(:login)) AND archived_at IS NULL;

-- name: set_role(id, role)!
-- Make an account a citizen's, a researcher's or an admin's.
UPDATE users SET role = :role, updated_at = now() WHERE id = :id;
