-- Lists of devices: which ones, and with a handful of queries everything that is shown of them.

-- name: devices_listed(viewer_id, viewer_is_admin, tags, near_latitude, near_longitude, within_km, west, south, east, north)
-- The devices that the viewer may see, with the columns by which lists are filtered and ordered; null stands for no
-- restriction. `tags`: devices that have one of them; a box whose west is greater than its east crosses the antimeridian.
SELECT
    d.id,
    d.uuid,
    d.owner_id,
    d.kit_id,
    d.name,
    d.description,
    d.exposure,
    d.city,
    d.country_code,
    d.latitude,
    d.longitude,
    d.geohash,
    d.is_private,
    d.is_test,
    d.last_reading_at,
    d.created_at,
    d.updated_at,
    d.mac_address,
    d.precise_location,
    d.enable_forwarding,
    d.hardware_name_override,
    d.hardware_type_override,
    d.hardware_version_override,
    d.hardware_slug_override,
    d.hardware_info::text AS hardware_info,
    CASE
        WHEN d.last_reading_at IS NOT NULL THEN 'has_published'
        WHEN d.mac_address IS NOT NULL OR EXISTS (
            SELECT FROM device_tokens AS t WHERE t.device_id = d.id AND t.revoked_at IS NULL
        ) THEN 'never_published'
        ELSE 'not_configured'
    END AS state,
    u.uuid AS owner_uuid,
    u.username AS owner_username,
    u.city AS owner_city,
    u.country_code AS owner_country_code,
    p.id AS postprocessing_id,
    p.blueprint_url AS postprocessing_blueprint_url,
    p.hardware_url AS postprocessing_hardware_url,
    p.latest_postprocessing AS postprocessing_latest_postprocessing,
    p.meta AS postprocessing_meta,
    p.forwarding_params AS postprocessing_forwarding_params,
    p.created_at AS postprocessing_created_at,
    p.updated_at AS postprocessing_updated_at,
    f.name AS forwarding_destination_name,
    ARRAY(SELECT t.id FROM devices_tags JOIN tags AS t ON t.id = tag_id WHERE device_id = d.id) AS tags_id,
    ARRAY(SELECT t.uuid FROM devices_tags JOIN tags AS t ON t.id = tag_id WHERE device_id = d.id) AS tags_uuid,
    ARRAY(SELECT t.name FROM devices_tags JOIN tags AS t ON t.id = tag_id WHERE device_id = d.id) AS tags_name,
    ARRAY(SELECT t.description FROM devices_tags JOIN tags AS t ON t.id = tag_id WHERE device_id = d.id) AS tags_description,
    ARRAY(SELECT s.id FROM components JOIN sensors AS s ON s.id = sensor_id WHERE device_id = d.id) AS sensors_id,
    ARRAY(SELECT s.name FROM components JOIN sensors AS s ON s.id = sensor_id WHERE device_id = d.id) AS sensors_name,
    ARRAY(SELECT s.measurement_id FROM components JOIN sensors AS s ON s.id = sensor_id WHERE device_id = d.id) AS sensors_measurement_id,
    distance_km(:near_latitude, :near_longitude, d.latitude, d.longitude) AS distance_km
FROM devices AS d
LEFT JOIN users AS u ON u.id = d.owner_id
LEFT JOIN postprocessings AS p ON p.device_id = d.id
LEFT JOIN forwarding_destinations AS f ON f.id = d.forwarding_destination_id
WHERE
    d.archived_at IS NULL
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    AND (:tags::text[] IS NULL OR EXISTS (
        SELECT FROM devices_tags JOIN tags AS t ON t.id = tag_id WHERE device_id = d.id AND t.name = ANY(:tags)
    ))
    AND (:near_latitude::double precision IS NULL OR (
        -- a degree of latitude is at least 110.5 km: cheap, and the index knows it
        d.latitude BETWEEN :near_latitude - :within_km / 110.5 AND :near_latitude + :within_km / 110.5
        AND distance_km(:near_latitude, :near_longitude, d.latitude, d.longitude) <= :within_km
    ))
    AND (:south::double precision IS NULL OR (
        d.latitude BETWEEN :south AND :north
        AND CASE
            WHEN :west::double precision <= :east::double precision THEN d.longitude BETWEEN :west AND :east
            ELSE d.longitude >= :west OR d.longitude <= :east
        END
    ));

-- name: devices_by_ids(ids)
-- Devices with what is shown of themselves, in the order of their ids' list.
SELECT
    d.*,
    k.slug AS kit_slug,
    k.name AS kit_name,
    f.name AS forwarding_destination,
    -- not EXISTS: the planner would hash the tokens of all devices for it
    d.mac_address IS NOT NULL OR coalesce(
        (SELECT true FROM device_tokens AS t WHERE t.device_id = d.id AND t.revoked_at IS NULL LIMIT 1), false
    ) AS configured,
    ARRAY(
        SELECT t.name FROM devices_tags JOIN tags AS t ON t.id = tag_id WHERE device_id = d.id ORDER BY t.name
    ) AS user_tags,
    CASE WHEN p.id IS NOT NULL THEN jsonb_build_object(
        'id', p.id, 'blueprint_url', p.blueprint_url, 'hardware_url', p.hardware_url, 'device_id', p.device_id,
        'forwarding_params', p.forwarding_params, 'meta', p.meta
    ) END AS postprocessing,
    ARRAY(SELECT e.experiment_id FROM devices_experiments AS e WHERE e.device_id = d.id ORDER BY 1)::bigint[] AS experiment_ids,
    p.latest_postprocessing,
    p.created_at AS postprocessing_created_at,
    p.updated_at AS postprocessing_updated_at
FROM unnest(:ids::integer[]) WITH ORDINALITY AS chosen (id, position)
JOIN devices AS d USING (id)
LEFT JOIN kits AS k ON k.id = d.kit_id
LEFT JOIN postprocessings AS p ON p.device_id = d.id
LEFT JOIN forwarding_destinations AS f ON f.id = d.forwarding_destination_id
WHERE d.archived_at IS NULL
ORDER BY chosen.position;

-- name: owners_by_ids(ids, viewer_id, viewer_is_admin)
-- Owners with the ids of those of their devices that the viewer may see.
SELECT
    u.id,
    u.uuid,
    u.username,
    u.role,
    u.email,
    u.url,
    u.city,
    u.country_code,
    u.created_at,
    u.updated_at,
    ARRAY(
        SELECT d.id
        FROM devices AS d
        WHERE
            d.owner_id = u.id
            AND d.archived_at IS NULL
            AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
        ORDER BY d.id
    )::bigint[] AS device_ids
FROM users AS u
WHERE u.id = ANY(:ids::integer[]) AND u.archived_at IS NULL
ORDER BY u.id;

-- name: components_of_devices(ids)
-- The components of devices with their latest values, by sensor name.
SELECT c.id, c.uuid, c.device_id, c.sensor_id, c.key, c.latest_time, c.latest_value, c.previous_value
FROM components AS c
JOIN sensors AS s ON s.id = c.sensor_id
WHERE c.device_id = ANY(:ids::integer[])
ORDER BY c.device_id, s.name, s.id;

-- name: devices_of_owners(owner_ids, viewer_id, viewer_is_admin)
-- The ids of those devices of these users that the viewer may see.
SELECT d.id
FROM devices AS d
WHERE
    d.owner_id = ANY(:owner_ids::integer[])
    AND d.archived_at IS NULL
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
ORDER BY d.id;

-- name: users_listed(viewer_id, viewer_is_admin)
-- Users, with the columns by which lists are filtered and ordered; of their devices those that the viewer may see.
SELECT
    u.id,
    u.uuid,
    u.username,
    u.role,
    CASE u.role WHEN 'admin' THEN 5 WHEN 'researcher' THEN 4 ELSE 0 END AS role_mask,
    u.city,
    u.country_code,
    u.created_at,
    u.updated_at,
    ARRAY(
        SELECT d.id
        FROM devices AS d
        WHERE
            d.owner_id = u.id
            AND d.archived_at IS NULL
            AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    ) AS devices_id,
    ARRAY(
        SELECT d.name
        FROM devices AS d
        WHERE
            d.owner_id = u.id
            AND d.archived_at IS NULL
            AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    ) AS devices_name,
    ARRAY(
        SELECT f.name
        FROM devices AS d
        JOIN forwarding_destinations AS f ON f.id = d.forwarding_destination_id
        WHERE d.owner_id = u.id AND d.archived_at IS NULL
    ) AS devices_forwarding_destination_name,
    ARRAY(
        SELECT c.sensor_id
        FROM devices AS d
        JOIN components AS c ON c.device_id = d.id
        WHERE
            d.owner_id = u.id
            AND d.archived_at IS NULL
            AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    ) AS sensors_id
FROM users AS u
WHERE u.archived_at IS NULL;

-- name: users_by_ids(ids)
-- Accounts, in the order of their ids' list.
SELECT u.*
FROM unnest(:ids::integer[]) WITH ORDINALITY AS chosen (id, position)
JOIN users AS u USING (id)
ORDER BY chosen.position;
