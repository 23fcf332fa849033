-- The catalogue: measurements, and the sensors that measure them.

-- name: sensors_by_ids(ids)
-- These sensors with their measurements, their tags and the equation in force, in the order of the ids.
SELECT
    s.id,
    s.uuid,
    s.parent_id,
    s.name,
    s.description,
    s.default_key,
    s.unit,
    s.unit_definition,
    s.datasheet,
    s.minimum,
    s.maximum,
    s.stuck_after,
    s.created_at,
    s.updated_at,
    m.id AS measurement_id,
    m.uuid AS measurement_uuid,
    m.name AS measurement_name,
    m.description AS measurement_description,
    m.unit AS measurement_unit,
    m.definition AS measurement_definition,
    ARRAY(
        SELECT t.name
        FROM sensor_tags AS st
        JOIN tag_sensors AS t ON t.id = st.tag_sensor_id
        WHERE st.sensor_id = s.id
        ORDER BY t.name
    ) AS tags,
    (
        SELECT p.equation
        FROM calibration_periods AS p
        WHERE
            p.sensor_id = s.id
            AND p.kit_id IS NULL
            AND p.device_id IS NULL
            AND p.valid_from <= now()
            AND (p.valid_until IS NULL OR p.valid_until > now())
    ) AS equation
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN sensors AS s USING (id)
LEFT JOIN measurements AS m ON m.id = s.measurement_id
ORDER BY asked.position;

-- name: sensors_listed()
-- Every sensor, for lists; `ancestry` is the parent's id as text.
SELECT
    id, uuid, parent_id, parent_id::text AS ancestry, name, description, unit, default_key, measurement_id,
    created_at, updated_at
FROM sensors
ORDER BY id;

-- name: sensors_named(ids, uuids, keys)
-- Every sensor that has one of these ids, uuids or default keys.
SELECT id, uuid, default_key
FROM sensors
WHERE id = ANY(:ids::integer[]) OR uuid = ANY(:uuids::uuid[]) OR default_key = ANY(:keys::text[])
ORDER BY id;

-- name: sensor_exists(id)$
-- Whether a sensor exists.
SELECT EXISTS (SELECT FROM sensors WHERE id = :id);

-- name: insert_sensor(parent_id, measurement_id, name, description, default_key, unit, unit_definition, datasheet, minimum, maximum, stuck_after, proposed_by)$
-- Make a sensor and return its id.
INSERT INTO sensors (
    parent_id, measurement_id, name, description, default_key, unit, unit_definition, datasheet, minimum, maximum, stuck_after, proposed_by
)
VALUES (
    :parent_id, :measurement_id, :name, :description, :default_key, :unit, :unit_definition, :datasheet, :minimum, :maximum, :stuck_after, :proposed_by
)
RETURNING id;

-- name: hold_sensor(id)^
-- Keep a sensor from others until the transaction ends.
SELECT id FROM sensors WHERE id = :id FOR NO KEY UPDATE;

-- name: hold_parents_of_sensors()$
-- Let nobody else put a sensor on another until the transaction ends: two at once could close a circle that neither of
-- them sees. Call it before hold_sensor, which keeps only one of the circle's.
SELECT count(pg_advisory_xact_lock(hashtext('parents of sensors')));

-- name: update_sensor(id, parent_id, measurement_id, name, description, default_key, unit, unit_definition, datasheet, minimum, maximum, stuck_after)!
-- Say all of a sensor anew.
UPDATE sensors
SET
    parent_id = :parent_id,
    measurement_id = :measurement_id,
    name = :name,
    description = :description,
    default_key = :default_key,
    unit = :unit,
    unit_definition = :unit_definition,
    datasheet = :datasheet,
    minimum = :minimum,
    maximum = :maximum,
    stuck_after = :stuck_after,
    updated_at = now()
WHERE id = :id;

-- name: sensor_is_within(id, ancestor_id)$
-- Whether a sensor is this other one, or sits on it, at any depth.
WITH RECURSIVE above AS (
    SELECT id, parent_id FROM sensors WHERE id = :id
    UNION
    SELECT s.id, s.parent_id FROM above AS a JOIN sensors AS s ON s.id = a.parent_id
)
SELECT EXISTS (SELECT FROM above WHERE id = :ancestor_id);

-- name: delete_sensor_tags(sensor_id)!
-- Take all tags off a sensor.
DELETE FROM sensor_tags WHERE sensor_id = :sensor_id;

-- name: insert_sensor_tags(sensor_id, names)
-- Put these tags on a sensor, and return the names of those that exist.
WITH given AS (
    SELECT t.id, t.name FROM tag_sensors AS t WHERE lower(t.name) = ANY(SELECT lower(n) FROM unnest(:names::text[]) AS n)
),
put AS (
    INSERT INTO sensor_tags (sensor_id, tag_sensor_id) SELECT :sensor_id, id FROM given
)
SELECT name FROM given ORDER BY name;

-- name: measurements_listed()
-- Every measurement, for lists.
SELECT id, uuid, name, description, unit, definition, created_at, updated_at FROM measurements ORDER BY id;

-- name: measurements_by_ids(ids)
-- These measurements, in the order of the ids.
SELECT m.id, m.uuid, m.name, m.description, m.unit, m.definition, m.created_at, m.updated_at
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN measurements AS m USING (id)
ORDER BY asked.position;

-- name: hold_measurement(id)^
-- Keep a measurement from others until the transaction ends.
SELECT id FROM measurements WHERE id = :id FOR NO KEY UPDATE;

-- name: update_measurement(id, name, description, unit, definition)!
-- Say all of a measurement anew; a unique violation names measurements_name_key.
UPDATE measurements
SET name = :name, description = :description, unit = :unit, definition = :definition, updated_at = now()
WHERE id = :id;

-- name: measurement_exists(id)$
-- Whether a measurement exists.
SELECT EXISTS (SELECT FROM measurements WHERE id = :id);

-- name: measurement_id_by_name(name)$
-- The measurement of this name in any case.
SELECT id FROM measurements WHERE lower(name) = lower(:name) ORDER BY id LIMIT 1;

-- name: insert_measurement(name, description, unit, definition)$
-- Make a measurement and return its id, or null where the name is taken.
INSERT INTO measurements (name, description, unit, definition)
VALUES (:name, :description, :unit, :definition)
ON CONFLICT (name) DO NOTHING
RETURNING id;
