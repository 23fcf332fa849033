-- Kits: blueprints of devices.

-- name: kits_listed()
-- Every kit, for lists.
SELECT id, uuid, slug, name, description, owner_id, created_at, updated_at FROM kits ORDER BY id;

-- name: kits_by_ids(ids)
-- These kits, in the order of the ids.
SELECT k.*
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN kits AS k USING (id)
ORDER BY asked.position;

-- name: kit_by_reference(id, uuid, slug)^
-- The kit that has this id, this uuid or this slug.
SELECT * FROM kits WHERE id = :id OR uuid = :uuid OR slug = :slug ORDER BY id LIMIT 1;

-- name: kit_exists(id)$
-- Whether a kit exists.
SELECT EXISTS (SELECT FROM kits WHERE id = :id);

-- name: kit_to_change(id)^
-- One kit, kept from others until the transaction ends; kits stay for good.
SELECT * FROM kits WHERE id = :id FOR NO KEY UPDATE;

-- name: components_of_kits(kit_ids)
-- What these kits are made of, with the kit's own equation in force where it has one.
SELECT
    c.kit_id,
    c.sensor_id,
    c.key,
    c.interval,
    c.enabled,
    (
        SELECT p.equation
        FROM calibration_periods AS p
        WHERE
            p.sensor_id = c.sensor_id
            AND p.kit_id = c.kit_id
            AND p.valid_from <= now()
            AND (p.valid_until IS NULL OR p.valid_until > now())
    ) AS equation
FROM kit_components AS c
WHERE c.kit_id = ANY(:kit_ids::integer[])
ORDER BY c.kit_id, c.sensor_id;

-- name: insert_kit(slug, name, description, owner_id)$
-- Make a kit and return its id, or null where another has the slug.
INSERT INTO kits (slug, name, description, owner_id)
VALUES (:slug, :name, :description, :owner_id)
ON CONFLICT (slug) DO NOTHING
RETURNING id;

-- name: update_kit(id, slug, name, description)!
-- Change what is not null here; a unique violation names kits_slug_key.
UPDATE kits
SET
    slug = coalesce(:slug, slug),
    name = coalesce(:name, name),
    description = coalesce(:description, description),
    updated_at = now()
WHERE id = :id;

-- name: set_kit_config(id, publish_interval, settings, settings_schema)!
-- Say what devices of a kit are told where nobody tells them otherwise.
UPDATE kits
SET publish_interval = :publish_interval, settings = :settings, settings_schema = :settings_schema, updated_at = now()
WHERE id = :id;

-- name: delete_kit_components(kit_id)!
-- Take all components out of a kit; devices keep theirs.
DELETE FROM kit_components WHERE kit_id = :kit_id;

-- name: insert_kit_components(kit_id, sensor_ids, keys, intervals, enabled)!
-- Put components into a kit.
INSERT INTO kit_components (kit_id, sensor_id, key, interval, enabled)
SELECT :kit_id, g.sensor_id, g.key, g.interval, g.enabled
FROM unnest(:sensor_ids::integer[], :keys::text[], :intervals::double precision[], :enabled::boolean[])
    AS g (sensor_id, key, interval, enabled);
