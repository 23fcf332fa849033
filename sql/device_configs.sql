-- What devices are told to do, and what they say that they do.

-- name: blueprints_of_devices(device_ids)
-- What each device's kit says of its configuration, what its settings must satisfy, and which components it may name.
SELECT
    d.id AS device_id,
    k.publish_interval,
    coalesce(k.settings, '{}') AS settings,
    k.settings_schema,
    coalesce(
        (
            SELECT jsonb_object_agg(c.key, jsonb_build_object('interval', c.interval, 'enabled', c.enabled))
            FROM kit_components AS c
            WHERE c.kit_id = d.kit_id AND (c.interval IS NOT NULL OR NOT c.enabled)
        ),
        '{}'
    ) AS components,
    ARRAY(
        SELECT c.key FROM components AS c WHERE c.device_id = d.id
        UNION
        SELECT c.key FROM kit_components AS c WHERE c.kit_id = d.kit_id
        ORDER BY key
    ) AS keys
FROM devices AS d
LEFT JOIN kits AS k ON k.id = d.kit_id
WHERE d.id = ANY(:device_ids::integer[])
ORDER BY d.id;

-- name: insert_device_config(device_id, config, author_id)$
-- Make the next version and return its number; hold the device before.
INSERT INTO device_configs (device_id, version, config, author_id)
SELECT :device_id, coalesce(max(version), 0) + 1, :config, :author_id
FROM device_configs
WHERE device_id = :device_id
RETURNING version;

-- name: device_configs_that_count(device_id)
-- The version to be had, the one the device spoke of last, and the one it does, the newest first.
WITH c AS (
    SELECT
        version,
        config,
        created_at,
        reported_at,
        applied_at,
        error,
        row_number() OVER (ORDER BY version DESC) = 1 AS is_desired,
        reported_at IS NOT NULL AND row_number() OVER (ORDER BY reported_at DESC NULLS LAST, version DESC) = 1 AS is_reported,
        applied_at IS NOT NULL AND row_number() OVER (ORDER BY applied_at DESC NULLS LAST, version DESC) = 1 AS is_applied
    FROM device_configs
    WHERE device_id = :device_id
)
SELECT * FROM c WHERE is_desired OR is_reported OR is_applied ORDER BY version DESC;

-- name: config_versions_of_devices(device_ids)
-- The highest version that each of these devices was ever told.
SELECT device_id, max(version) AS version
FROM device_configs
WHERE device_id = ANY(:device_ids::integer[])
GROUP BY device_id;

-- name: report_configs(device_ids, versions, times, errors)!
-- Note what devices say of their versions, each named once. One that still does what it did has done so all along.
WITH said AS (
    SELECT c.device_id, c.version, r.time, r.error
    FROM unnest(:device_ids::integer[], :versions::integer[], :times::timestamptz[], :errors::text[])
        AS r (device_id, version, time, error)
    JOIN device_configs AS c USING (device_id, version)
    ORDER BY c.device_id, c.version
    FOR NO KEY UPDATE OF c
)
UPDATE device_configs AS c
SET
    reported_at = greatest(c.reported_at, s.time),
    error = s.error,
    applied_at = CASE
        WHEN s.error IS NOT NULL THEN c.applied_at
        WHEN NOT EXISTS (
            SELECT FROM device_configs AS o
            WHERE o.device_id = c.device_id AND o.version <> c.version AND o.applied_at > c.applied_at
        ) THEN coalesce(c.applied_at, s.time)
        ELSE s.time
    END
FROM said AS s
WHERE c.device_id = s.device_id AND c.version = s.version;
