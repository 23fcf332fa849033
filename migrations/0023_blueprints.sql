-- Blueprints that people bring: whose they are, how often a component reads, and the sensors that come with them.

ALTER TABLE kits ADD COLUMN owner_id integer REFERENCES users ON DELETE SET NULL; -- null: came with Almanac
CREATE INDEX ON kits (owner_id);

-- The time from one reading to the next that is expected, in seconds; null where nobody said.
ALTER TABLE kit_components ADD COLUMN interval double precision CHECK ("interval" > 0);
ALTER TABLE components ADD COLUMN interval double precision CHECK ("interval" > 0);

ALTER TABLE sensors ADD COLUMN proposed_by integer REFERENCES users ON DELETE SET NULL; -- null: an admin's, or ours
CREATE INDEX ON kit_components (sensor_id);
