-- What devices say is wrong with them, once an hour for each code of a component, with a count.

CREATE TABLE device_errors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id integer NOT NULL REFERENCES devices ON DELETE CASCADE,
    component text, -- its key where the device has that component, else what the device calls it; null: the device itself
    code text NOT NULL,
    hour timestamptz NOT NULL,
    message text, -- of the last one
    count integer NOT NULL CHECK (count > 0),
    first_time timestamptz NOT NULL, -- by the device's clock, where that is possible
    last_time timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(), -- when the last one came
    resolved_at timestamptz, -- null: open
    resolved_by integer REFERENCES users ON DELETE SET NULL
);
CREATE UNIQUE INDEX device_errors_once ON device_errors (device_id, coalesce(component, ''), code, hour);
CREATE INDEX ON device_errors (device_id, id);
CREATE INDEX ON device_errors (last_time);
CREATE INDEX ON device_errors (resolved_by) WHERE resolved_by IS NOT NULL;
