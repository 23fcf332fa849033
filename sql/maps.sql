-- Devices on maps: public, not for tests, heard of, and at a place.

-- name: world_map(viewer_id, viewer_is_admin)
-- What a map shows of each device that the viewer may see, by id.
SELECT
    d.id,
    d.name,
    d.description,
    d.exposure,
    d.latitude,
    d.longitude,
    d.city,
    d.country_code,
    d.last_reading_at,
    d.created_at,
    d.is_test,
    d.hardware_info ->> 'hw_ver' AS hardware_version,
    d.hardware_name_override,
    d.hardware_type_override,
    d.hardware_version_override,
    d.hardware_slug_override,
    k.slug AS kit_slug,
    k.name AS kit_name,
    coalesce(tagged.names, '{}') AS user_tags
FROM devices AS d
LEFT JOIN kits AS k ON k.id = d.kit_id
LEFT JOIN (
    SELECT dt.device_id, array_agg(t.name ORDER BY t.name) AS names
    FROM devices_tags AS dt
    JOIN tags AS t ON t.id = dt.tag_id
    GROUP BY dt.device_id
) AS tagged ON tagged.device_id = d.id
WHERE
    d.archived_at IS NULL
    AND NOT d.is_test
    AND d.latitude IS NOT NULL
    AND d.longitude IS NOT NULL
    AND d.last_reading_at IS NOT NULL
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
ORDER BY d.id;

-- name: map_points(viewer_id, viewer_is_admin, west, south, east, north, measurement_id, heard_since, tags, kit_id)^
-- The same devices in a box as columns, for maps that want little of many; null everywhere for no device. The value is
-- the latest of a measurement, NaN for none; what is null restricts nothing.
SELECT
    array_agg(d.id ORDER BY d.id) AS ids,
    array_agg(d.longitude ORDER BY d.id) AS longitudes,
    array_agg(d.latitude ORDER BY d.id) AS latitudes,
    array_agg(d.name ORDER BY d.id) AS names,
    array_agg(d.last_reading_at ORDER BY d.id) AS heard,
    array_agg(coalesce(newest.value, 'NaN') ORDER BY d.id) AS values
FROM devices AS d
LEFT JOIN LATERAL (
    SELECT c.latest_value AS value
    FROM components AS c
    WHERE
        c.device_id = d.id
        AND c.sensor_id = ANY (ARRAY(SELECT s.id FROM sensors AS s WHERE s.measurement_id = :measurement_id))
        AND c.latest_value IS NOT NULL
    ORDER BY c.latest_time DESC, c.sensor_id
    LIMIT 1
) AS newest ON TRUE
WHERE
    d.archived_at IS NULL
    AND NOT d.is_test
    AND d.last_reading_at IS NOT NULL
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    AND d.latitude BETWEEN :south AND :north
    AND CASE
        WHEN :west::double precision <= :east::double precision THEN d.longitude BETWEEN :west AND :east
        ELSE d.longitude >= :west OR d.longitude <= :east
    END
    AND (:heard_since::timestamptz IS NULL OR d.last_reading_at > :heard_since)
    AND (:kit_id::integer IS NULL OR d.kit_id = :kit_id)
    AND (
        :tags::text[] IS NULL
        OR EXISTS (
            SELECT
            FROM devices_tags AS dt
            JOIN tags AS t ON t.id = dt.tag_id
            WHERE dt.device_id = d.id AND t.name = ANY (:tags)
        )
    );

-- name: values_of_measurement(measurement_id)^
-- Between which values the middle 96 % of the public devices' latest lie, without those that are far out (Tukey: three
-- times the quartiles' distance beyond them), so that of few devices too one broken sensor does not make all others look
-- alike; and the unit of most. Null where nobody measures it.
WITH latest AS (
    SELECT c.latest_value AS value, s.unit
    FROM sensors AS s
    JOIN components AS c ON c.sensor_id = s.id
    JOIN devices AS d ON d.id = c.device_id
    WHERE
        s.measurement_id = :measurement_id
        AND c.latest_value IS NOT NULL
        AND d.archived_at IS NULL
        AND NOT d.is_test
        AND device_visible(d.owner_id, d.is_private, NULL, FALSE)
),

quartiles AS (
    SELECT
        percentile_disc(0.25) WITHIN GROUP (ORDER BY value) AS lower,
        percentile_disc(0.75) WITHIN GROUP (ORDER BY value) AS upper
    FROM latest
)

SELECT
    percentile_disc(0.02) WITHIN GROUP (ORDER BY l.value) AS low,
    percentile_disc(0.98) WITHIN GROUP (ORDER BY l.value) AS high,
    mode() WITHIN GROUP (ORDER BY l.unit) AS unit
FROM latest AS l
CROSS JOIN quartiles AS q
WHERE
    q.lower = q.upper -- most are alike, and whatever is not would be far out
    OR l.value BETWEEN q.lower - 3 * (q.upper - q.lower) AND q.upper + 3 * (q.upper - q.lower);
