-- Devices and their components.

-- name: insert_device(owner_id, kit_id, name, description, exposure, latitude, longitude, elevation, is_private, notify_low_battery, notify_stopped_publishing)$
-- Make a device and return its id.
INSERT INTO devices (
    owner_id, kit_id, name, description, exposure, latitude, longitude, elevation, is_private,
    notify_low_battery, notify_stopped_publishing
)
VALUES (
    :owner_id, :kit_id, :name, :description, :exposure, :latitude, :longitude, :elevation, :is_private,
    :notify_low_battery, :notify_stopped_publishing
)
RETURNING id;

-- name: insert_components_of_kit(device_id)!
-- Give a device the components of its kit.
INSERT INTO components (device_id, sensor_id, key)
SELECT d.id, k.sensor_id, k.key
FROM devices AS d
JOIN kit_components AS k USING (kit_id)
WHERE d.id = :device_id
ORDER BY k.sensor_id
ON CONFLICT (device_id, sensor_id) DO NOTHING;

-- name: insert_device_token(device_id, hash, expires_at)$
-- Let a device be known by a token, of which we keep the SHA-256; returns null where somebody has that token already.
INSERT INTO device_tokens (device_id, hash, expires_at)
VALUES (:device_id, :hash, :expires_at)
ON CONFLICT (hash) DO NOTHING
RETURNING id;

-- name: device_by_id(id)^
-- One device that is not archived, with its owner and its kit.
SELECT
    d.*,
    k.slug AS kit_slug,
    k.name AS kit_name,
    u.uuid AS owner_uuid,
    u.username AS owner_username,
    u.url AS owner_url,
    u.city AS owner_city,
    u.country_code AS owner_country_code,
    EXISTS (SELECT FROM device_tokens AS t WHERE t.device_id = d.id AND t.revoked_at IS NULL) AS has_token,
    ARRAY(
        SELECT o.id FROM devices AS o
        WHERE o.owner_id = d.owner_id AND o.archived_at IS NULL AND NOT o.is_private
        ORDER BY o.id
    )::bigint[] AS owner_public_device_ids
FROM devices AS d
JOIN users AS u ON u.id = d.owner_id
LEFT JOIN kits AS k ON k.id = d.kit_id
WHERE d.id = :id AND d.archived_at IS NULL;

-- name: device_readable(id)^
-- What decides who may read a device's readings.
SELECT id, owner_id, is_private FROM devices WHERE id = :id AND archived_at IS NULL;

-- name: components_of_device(device_id)
-- The components of a device with their sensors, measurements and latest values, by sensor name.
SELECT
    c.id AS component_id,
    c.key,
    c.latest_time,
    c.latest_value,
    c.previous_value,
    s.*,
    m.id AS measurement_id,
    m.uuid AS measurement_uuid,
    m.name AS measurement_name,
    m.description AS measurement_description,
    m.unit AS measurement_unit,
    m.definition AS measurement_definition
FROM components AS c
JOIN sensors AS s ON s.id = c.sensor_id
LEFT JOIN measurements AS m ON m.id = s.measurement_id
WHERE c.device_id = :device_id
ORDER BY s.name, s.id;

-- name: kit_by_slug(slug)^
-- One kit.
SELECT * FROM kits WHERE slug = :slug;

-- name: kit_exists(id)$
-- Whether a kit exists.
SELECT EXISTS (SELECT FROM kits WHERE id = :id);

-- name: device_id_of_token(hash)$
-- Which device a token was made for, valid or not.
SELECT device_id FROM device_tokens WHERE hash = :hash;

-- name: migrated()$
-- Names of the migrations that have been applied.
SELECT array_agg(name ORDER BY name) FROM schema_migrations;
