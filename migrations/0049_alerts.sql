-- What is wrong with devices, and who was told.

-- Since when each ingestor has been receiving without a break, by its own word. While one is away the platform is deaf
-- to a part of the devices, and their silence means nothing.
CREATE TABLE receivers (
    name text PRIMARY KEY, -- its name at the broker
    since timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- The other two kinds have had their columns from the start.
ALTER TABLE devices
    ADD COLUMN notify_faulty_sensors boolean NOT NULL DEFAULT false,
    ADD COLUMN notify_errors boolean NOT NULL DEFAULT false;

-- What a sensor can give; null: nobody said.
ALTER TABLE sensors
    ADD COLUMN minimum double precision, -- in its unit, as the value is
    ADD COLUMN maximum double precision,
    ADD COLUMN stuck_after double precision CHECK (stuck_after > 0), -- seconds of one and the same value
    ADD CHECK (minimum < maximum);

CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES devices ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('stopped_publishing', 'low_battery', 'out_of_range', 'stuck', 'device_error')),
    subject text NOT NULL DEFAULT '', -- key of the component, or the error's code; '': the device
    about jsonb NOT NULL, -- what it was when it began
    began_at timestamptz NOT NULL,
    ended_at timestamptz -- null: it goes on
);
CREATE UNIQUE INDEX alerts_one_open_key ON alerts (device_id, kind, subject) WHERE ended_at IS NULL;
CREATE INDEX ON alerts (device_id, began_at);
CREATE INDEX ON alerts (ended_at);

-- One mail tells an owner of everything since the last one.
CREATE TABLE digests (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    queued_at timestamptz -- null: its mail is not on its way yet
);
CREATE INDEX ON digests (owner_id, created_at);
CREATE INDEX ON digests (id) WHERE queued_at IS NULL;

-- That an alert began or ended, for its owner of that moment.
CREATE TABLE notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id bigint NOT NULL REFERENCES alerts ON DELETE CASCADE,
    owner_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    phase text NOT NULL CHECK (phase IN ('began', 'ended')),
    by_mail boolean NOT NULL, -- a mail tells it too
    digest_id bigint REFERENCES digests ON DELETE SET NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON notifications (alert_id);
CREATE INDEX ON notifications (digest_id);
CREATE INDEX ON notifications (owner_id) WHERE by_mail AND digest_id IS NULL;

-- Silence for so long is more than a lost message: three times what is expected, and an hour at least.
CREATE FUNCTION longest_silence(expected_interval double precision) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(INTERVAL '1 hour', make_interval(secs => 3 * expected_interval));

-- What batteries say: only what says it as a share.
CREATE VIEW battery_levels AS
SELECT c.device_id, c.key, c.latest_time, c.latest_value, d.notify_low_battery, e.interval
FROM devices AS d
JOIN components AS c ON c.device_id = d.id
JOIN sensors AS s ON s.id = c.sensor_id
JOIN measurements AS m ON m.id = s.measurement_id
JOIN expected_intervals AS e ON e.device_id = d.id
WHERE d.archived_at IS NULL AND lower(m.name) = 'battery' AND s.unit = '%';
