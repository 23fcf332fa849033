-- What was answered to a request that carried an Idempotency-Key, so that the same request again gets the same answer.
CREATE TABLE idempotency_keys (
    device_id integer NOT NULL REFERENCES devices ON DELETE CASCADE,
    key text NOT NULL CHECK (length(key) <= 255),
    request_hash bytea NOT NULL, -- SHA-256 of the body: a key belongs to one request
    status integer, -- null until its transaction ends: nobody else ever sees that
    answer jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, key)
);
CREATE INDEX ON idempotency_keys (created_at);
