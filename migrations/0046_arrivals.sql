-- What was written when: one row a transaction, with the keys of the datapoints that it changed. Whoever follows the
-- datapoints, a live stream or the forwarding, goes on where they were, and gets nothing twice.
--
-- A follower's position is a snapshot: which transactions it has seen. A number would not do, for of two transactions
-- the one that drew the lower number may commit later.
CREATE TABLE arrivals (
    xid xid8 PRIMARY KEY DEFAULT pg_current_xact_id(),
    arrived_at timestamptz NOT NULL DEFAULT now(),
    horizon timestamptz NOT NULL, -- the rollups': what is before it was late
    datapoints integer NOT NULL, -- how many keys there are
    device_ids integer[] NOT NULL,
    sensor_ids integer[] NOT NULL,
    times timestamptz[] NOT NULL
);
CREATE INDEX ON arrivals (arrived_at);

-- The newest transaction whose row has been deleted: who has not seen it cannot go on.
CREATE TABLE arrivals_forgotten (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    xid xid8 NOT NULL
);
INSERT INTO arrivals_forgotten (xid) VALUES ('0');
