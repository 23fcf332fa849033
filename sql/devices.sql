-- Devices and their components.

-- name: insert_device(owner_id, kit_id, name)$
-- Make a device of which nothing more is known yet, and return its id.
INSERT INTO devices (owner_id, kit_id, name) VALUES (:owner_id, :kit_id, :name) RETURNING id;

-- name: device_to_change(id)^
-- One device that is not archived, kept from others until the transaction ends.
SELECT * FROM devices WHERE id = :id AND archived_at IS NULL FOR NO KEY UPDATE;

-- name: update_device(id, name, description, exposure, exact_latitude, exact_longitude, blurred_latitude, blurred_longitude, precise_location, geohash, city, country_code, elevation, is_private, is_test, notify_low_battery, notify_stopped_publishing, notify_faulty_sensors, notify_errors, mac_address, hardware_name_override, hardware_type_override, hardware_version_override, hardware_slug_override, enable_forwarding, forwarding_destination_id)!
-- Describe a device anew; a unique violation names devices_mac_address_key.
UPDATE devices
SET
    name = :name,
    description = :description,
    exposure = :exposure,
    exact_latitude = :exact_latitude,
    exact_longitude = :exact_longitude,
    blurred_latitude = :blurred_latitude,
    blurred_longitude = :blurred_longitude,
    precise_location = :precise_location,
    geohash = :geohash,
    city = :city,
    country_code = :country_code,
    elevation = :elevation,
    is_private = :is_private,
    is_test = :is_test,
    notify_low_battery = :notify_low_battery,
    notify_stopped_publishing = :notify_stopped_publishing,
    notify_faulty_sensors = :notify_faulty_sensors,
    notify_errors = :notify_errors,
    mac_address = :mac_address,
    hardware_name_override = :hardware_name_override,
    hardware_type_override = :hardware_type_override,
    hardware_version_override = :hardware_version_override,
    hardware_slug_override = :hardware_slug_override,
    enable_forwarding = :enable_forwarding,
    forwarding_destination_id = :forwarding_destination_id,
    updated_at = now()
WHERE id = :id;

-- name: tags_by_names(names)
-- Tags by their names, in any case; none of them goes before the transaction ends.
SELECT id, name FROM tags WHERE lower(name) = ANY(SELECT lower(n) FROM unnest(:names::text[]) AS n) ORDER BY id FOR KEY SHARE;

-- name: set_tags_of_device(device_id, tag_ids)!
-- Give a device these tags and no others.
WITH gone AS (
    DELETE FROM devices_tags WHERE device_id = :device_id AND tag_id <> ALL(:tag_ids::integer[])
)
INSERT INTO devices_tags (device_id, tag_id)
SELECT :device_id, tag_id FROM unnest(:tag_ids::integer[]) AS tag_id ORDER BY tag_id
ON CONFLICT DO NOTHING;

-- name: postprocessing_of_device(device_id)^
-- What the postprocessing worker keeps of a device.
SELECT * FROM postprocessings WHERE device_id = :device_id;

-- name: upsert_postprocessing(device_id, blueprint_url, hardware_url, latest_postprocessing, meta, forwarding_params)!
-- Keep what the postprocessing worker says of a device.
INSERT INTO postprocessings AS p (device_id, blueprint_url, hardware_url, latest_postprocessing, meta, forwarding_params)
VALUES (:device_id, :blueprint_url, :hardware_url, :latest_postprocessing, :meta, :forwarding_params)
ON CONFLICT (device_id) DO UPDATE
SET
    blueprint_url = excluded.blueprint_url,
    hardware_url = excluded.hardware_url,
    latest_postprocessing = excluded.latest_postprocessing,
    meta = excluded.meta,
    forwarding_params = excluded.forwarding_params,
    updated_at = now();

-- name: forwarding_destination_exists(id)$
-- Whether data can be forwarded there.
SELECT EXISTS (SELECT FROM forwarding_destinations WHERE id = :id);

-- name: insert_components_of_kit(device_id)!
-- Give a device the components of its kit.
INSERT INTO components (device_id, sensor_id, key, interval)
SELECT d.id, k.sensor_id, k.key, k.interval
FROM devices AS d
JOIN kit_components AS k USING (kit_id)
WHERE d.id = :device_id
ORDER BY k.sensor_id
ON CONFLICT (device_id, sensor_id) DO NOTHING;

-- name: device_readable(id)^
-- What decides who may read a device's readings.
SELECT id, owner_id, is_private FROM devices WHERE id = :id AND archived_at IS NULL;

-- name: device_id_of_mac_address(mac_address)$
-- The device that was registered with a MAC address.
SELECT id FROM devices WHERE mac_address = :mac_address AND archived_at IS NULL;
