-- Forwarding: what researchers' devices send, to other platforms over MQTT.

-- Both stand in topics and logins of the broker: the token is checked by its SHA-256, and sealed as a device's is.
CREATE TABLE forwarding_tokens (
    user_id integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    username text NOT NULL UNIQUE, -- for brokers that ask GET /v0/forward
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW valid_forwarding_tokens AS
SELECT t.user_id, t.username, t.hash, t.sealed
FROM forwarding_tokens AS t
JOIN users AS u ON u.id = t.user_id
WHERE u.archived_at IS NULL AND u.role IN ('researcher', 'admin');

-- Every token that may log in at the broker.
CREATE VIEW valid_broker_tokens AS
SELECT hash, sealed FROM valid_device_tokens WHERE sealed IS NOT NULL
UNION ALL
SELECT hash, sealed FROM valid_forwarding_tokens;

-- How far those have come who follow the arrivals for all, by name.
CREATE TABLE followers (
    name text PRIMARY KEY,
    seen pg_snapshot NOT NULL
);

-- The session of a device that is being set up, for the event that says that it has spoken; sealed with its own hash.
ALTER TABLE orphan_devices
    ADD COLUMN session_sealed bytea, -- null: begun before there was such an event
    ADD COLUMN announced_at timestamptz;
