-- What researchers' devices send, forwarded to other platforms.

-- name: upsert_forwarding_token(user_id, username, hash, sealed)^
-- Give a user a token for forwarding, in the place of an earlier one.
INSERT INTO forwarding_tokens AS t (user_id, username, hash, sealed)
VALUES (:user_id, :username, :hash, :sealed)
ON CONFLICT (user_id) DO UPDATE
SET username = excluded.username, hash = excluded.hash, sealed = excluded.sealed, created_at = now()
RETURNING username, created_at;

-- name: forwarding_token_of_user(user_id)^
-- What a user sees of their token for forwarding.
SELECT username, created_at FROM forwarding_tokens WHERE user_id = :user_id;

-- name: delete_forwarding_token(user_id)!
-- End a user's token for forwarding; 0 rows: there is none.
DELETE FROM forwarding_tokens WHERE user_id = :user_id;

-- name: may_hear_forwarded(hash, username)$
-- Whether a valid token for forwarding has this user name.
SELECT EXISTS (SELECT FROM valid_forwarding_tokens WHERE hash = :hash AND username = :username);

-- name: forwarded_devices()
-- The devices that are forwarded, each with the token of its owner.
SELECT d.id, t.hash, t.sealed
FROM devices AS d
JOIN valid_forwarding_tokens AS t ON t.user_id = d.owner_id
WHERE d.enable_forwarding AND d.archived_at IS NULL
ORDER BY d.id;

-- name: forwarding_destinations()
-- Where data can be forwarded to, by name.
SELECT id, name, created_at, updated_at FROM forwarding_destinations ORDER BY name;

-- name: insert_forwarding_destination(name)^
-- Make a destination; returns null where there is one of that name.
INSERT INTO forwarding_destinations (name) VALUES (:name)
ON CONFLICT (name) DO NOTHING
RETURNING id, name, created_at, updated_at;

-- name: delete_forwarding_destination(id)!
-- Forget a destination; devices that named it name none.
DELETE FROM forwarding_destinations WHERE id = :id;

-- name: seen_by_follower(name)$
-- How far a follower has come, null for a new one.
SELECT seen::text FROM followers WHERE name = :name;

-- name: note_follower(name, seen)!
-- A follower has come so far.
INSERT INTO followers (name, seen) VALUES (:name, :seen::pg_snapshot)
ON CONFLICT (name) DO UPDATE SET seen = excluded.seen;
