-- What devices are told to do, and what they say that they do.

-- A kit's own word: what a device of it is told where nobody told it otherwise. Components have their interval already.
ALTER TABLE kits
    ADD COLUMN publish_interval double precision CHECK (publish_interval > 0), -- seconds; null: nobody said
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN settings_schema jsonb; -- a JSON Schema; null: settings may be anything
ALTER TABLE kit_components ADD COLUMN enabled boolean NOT NULL DEFAULT true;

-- Each version is whole, as the device is told it, and never changes; the highest is the one to be had.
-- config: {"publish_interval": s, "components": {key: {"interval": s, "enabled": true}}, "settings": {…}}
CREATE TABLE device_configs (
    device_id integer NOT NULL REFERENCES devices ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    config jsonb NOT NULL,
    author_id integer REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    reported_at timestamptz, -- when the device last spoke of this version
    applied_at timestamptz, -- since when it does what this version says
    error text, -- why it does not; null where it does, or has not said
    PRIMARY KEY (device_id, version)
);
CREATE INDEX ON device_configs (author_id);

CREATE VIEW latest_device_configs AS
SELECT DISTINCT ON (device_id) device_id, version, config, created_at, reported_at, applied_at, error
FROM device_configs
ORDER BY device_id, version DESC;

-- From when on which version is what a device does. One that has never reported anything is taken at our word.
CREATE VIEW device_configs_in_force AS
SELECT device_id, version, config, coalesce(applied_at, created_at) AS since
FROM device_configs AS c
WHERE
    applied_at IS NOT NULL
    OR NOT EXISTS (SELECT FROM device_configs AS r WHERE r.device_id = c.device_id AND r.reported_at IS NOT NULL);

-- How often something is expected from each device, in seconds: what it is told, else what its kit says, else the
-- shortest interval of its components; null where nobody said.
CREATE VIEW expected_intervals AS
SELECT
    d.id AS device_id,
    coalesce(
        (
            SELECT (f.config ->> 'publish_interval')::double precision
            FROM device_configs_in_force AS f
            WHERE f.device_id = d.id
            ORDER BY f.since DESC, f.version DESC
            LIMIT 1
        ),
        k.publish_interval,
        (SELECT min(c.interval) FROM components AS c WHERE c.device_id = d.id)
    ) AS interval
FROM devices AS d
LEFT JOIN kits AS k ON k.id = d.kit_id;

-- The version that the broker keeps for a device, on the topic of this login's token; null: none.
ALTER TABLE broker_logins ADD COLUMN config_version integer;
