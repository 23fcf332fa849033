-- Search. `query` is a tsquery of words as plain_words makes them; what a viewer may not see is not found.

-- name: found_cities(query, viewer_id, viewer_is_admin)
-- Cities of devices, those with most devices first; their place is the middle of those devices.
SELECT
    d.city,
    d.country_code,
    avg(d.latitude) AS latitude,
    avg(d.longitude) AS longitude
FROM devices AS d
WHERE
    d.archived_at IS NULL
    AND device_words(d.name, d.description, d.city, d.country_code) @@ :query::tsquery
    AND to_tsvector('simple', plain_words(d.city)) @@ :query::tsquery
    AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
GROUP BY d.city, d.country_code
ORDER BY count(*) DESC, d.city, d.country_code
LIMIT 5;

-- name: found_tags(part)
-- Tags of devices whose name holds a part, in any case.
SELECT id, name, description
FROM tags
WHERE position(lower(:part) IN lower(name)) > 0
ORDER BY lower(name), id
LIMIT 5;

-- name: found(query, viewer_id, viewer_is_admin, limit, offset)
-- Devices and users, the best first.
SELECT f.*
FROM (
    SELECT
        'Device' AS type,
        d.id,
        d.name,
        d.description,
        d.owner_id,
        u.username,
        d.city,
        d.country_code,
        ts_rank(device_words(d.name, d.description, d.city, d.country_code), :query::tsquery) AS rank
    FROM devices AS d
    JOIN users AS u ON u.id = d.owner_id
    WHERE
        d.archived_at IS NULL
        AND device_words(d.name, d.description, d.city, d.country_code) @@ :query::tsquery
        AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    UNION ALL
    SELECT
        'User' AS type,
        u.id,
        NULL,
        NULL,
        NULL,
        u.username,
        u.city,
        u.country_code,
        ts_rank(user_words(u.username, u.city, u.country_code), :query::tsquery)
    FROM users AS u
    WHERE u.archived_at IS NULL AND user_words(u.username, u.city, u.country_code) @@ :query::tsquery
) AS f
ORDER BY f.rank DESC, f.type, f.id
LIMIT :limit OFFSET :offset;

-- name: found_total(query, viewer_id, viewer_is_admin)$
-- How many devices and users there are to be found.
SELECT
    (
        SELECT count(*)
        FROM devices AS d
        WHERE
            d.archived_at IS NULL
            AND device_words(d.name, d.description, d.city, d.country_code) @@ :query::tsquery
            AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
    ) + (
        SELECT count(*)
        FROM users AS u
        WHERE u.archived_at IS NULL AND user_words(u.username, u.city, u.country_code) @@ :query::tsquery
    );
