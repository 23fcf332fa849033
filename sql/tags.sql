-- Tags of devices, and tags of sensors.

-- name: tags_listed()
-- Every tag of devices, for lists.
SELECT id, uuid, name, description, created_at, updated_at FROM tags ORDER BY id;

-- name: tags_by_ids(ids)
-- These tags, in the order of the ids.
SELECT t.id, t.uuid, t.name, t.description, t.created_at, t.updated_at
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN tags AS t USING (id)
ORDER BY asked.position;

-- name: tag_by_reference(id, name)^
-- The tag that has this id or, in any case, this name; no name is a number.
SELECT id, uuid, name, description, created_at, updated_at
FROM tags
WHERE id = :id OR lower(name) = lower(:name)
ORDER BY id
LIMIT 1;

-- name: hold_tag(id)^
-- Keep a tag from others until the transaction ends.
SELECT id FROM tags WHERE id = :id FOR NO KEY UPDATE;

-- name: insert_tag(name, description)$
-- Make a tag and return its id; a unique violation names tags_name_key.
INSERT INTO tags (name, description) VALUES (:name, :description) RETURNING id;

-- name: update_tag(id, name, description)!
-- Say all of a tag anew; a unique violation names tags_name_key.
UPDATE tags SET name = :name, description = :description, updated_at = now() WHERE id = :id;

-- name: delete_tag(id)!
-- Take a tag off all devices, and away.
DELETE FROM tags WHERE id = :id;

-- name: tag_sensors_listed()
-- Every tag of sensors, for lists.
SELECT id, name, description, created_at, updated_at FROM tag_sensors ORDER BY id;

-- name: tag_sensors_by_ids(ids)
-- These tags of sensors, in the order of the ids.
SELECT t.id, t.name, t.description, t.created_at, t.updated_at
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN tag_sensors AS t USING (id)
ORDER BY asked.position;

-- name: insert_tag_sensor(name, description)$
-- Make a tag of sensors and return its id; a unique violation names tag_sensors_name_key.
INSERT INTO tag_sensors (name, description) VALUES (:name, :description) RETURNING id;
