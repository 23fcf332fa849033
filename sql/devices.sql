-- Devices and their components.

-- name: insert_device(owner_id, kit_id, name, description, exposure, latitude, longitude, elevation, is_private, notify_low_battery, notify_stopped_publishing)$
-- Make a device and return its id.
INSERT INTO devices (
    owner_id, kit_id, name, description, exposure, exact_latitude, exact_longitude, elevation, is_private,
    notify_low_battery, notify_stopped_publishing
)
VALUES (
    :owner_id, :kit_id, :name, :description, :exposure, :latitude, :longitude, :elevation, :is_private,
    :notify_low_battery, :notify_stopped_publishing
)
RETURNING id;

-- name: insert_components_of_kit(device_id)!
-- Give a device the components of its kit.
INSERT INTO components (device_id, sensor_id, key, interval)
SELECT d.id, k.sensor_id, k.key, k.interval
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

-- name: device_readable(id)^
-- What decides who may read a device's readings.
SELECT id, owner_id, is_private FROM devices WHERE id = :id AND archived_at IS NULL;

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
