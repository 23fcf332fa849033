-- A way back into an account whose password is forgotten: mailed to its owner, good for one use within an hour.
CREATE TABLE password_resets (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of a random token
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON password_resets (user_id);

-- Archived accounts are looked for by the purge alone.
CREATE INDEX ON users (archived_at) WHERE archived_at IS NOT NULL;
