-- What arrived and could not be stored as a datapoint: kept, with the reason, and never in the way of its neighbours.

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    device_id integer REFERENCES devices ON DELETE CASCADE, -- null: the token is nobody's, or the topic has none
    token_hash bytea, -- of a token that is nobody's yet: it may be registered later
    topic text NOT NULL, -- with `+` in the token's place: a token is a secret
    payload bytea NOT NULL, -- the whole message where it could not be read, else the one item
    reason text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX ON quarantine (device_id, received_at);
CREATE INDEX ON quarantine (token_hash) WHERE device_id IS NULL;
CREATE INDEX ON quarantine (received_at);
CREATE UNIQUE INDEX quarantine_once ON quarantine (
    coalesce(device_id, 0), coalesce(token_hash, ''), topic, reason, sha256(payload)
);

-- Factory test reports of topic device/inventory: `report` is null where the message was no JSON.
CREATE TABLE device_inventory (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    report jsonb
);
