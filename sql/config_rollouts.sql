-- A configuration on its way to many devices.

-- name: devices_to_roll_out_to(owner_id, is_admin, experiment_id, user_id)
-- The devices of an experiment, or else of a user, that the roll-out's owner may configure.
SELECT d.id
FROM devices AS d
WHERE
    d.archived_at IS NULL
    AND (:is_admin OR d.owner_id = :owner_id)
    AND CASE
        WHEN :experiment_id::integer IS NULL THEN d.owner_id = :user_id
        ELSE d.id IN (SELECT device_id FROM devices_experiments WHERE experiment_id = :experiment_id)
    END
ORDER BY d.id;

-- name: insert_config_rollout(owner_id, experiment_id, user_id, config, percent)$
-- Make a roll-out and return its id.
INSERT INTO config_rollouts (owner_id, experiment_id, user_id, config, percent)
VALUES (:owner_id, :experiment_id, :user_id, :config, :percent)
RETURNING id;

-- name: insert_config_rollout_devices(rollout_id, device_ids, configs)!
-- Draw the order in which devices are told.
INSERT INTO config_rollout_devices (rollout_id, device_id, position, config)
SELECT :rollout_id, d.device_id, row_number() OVER (ORDER BY random()), d.config
FROM unnest(:device_ids::integer[], :configs::jsonb[]) AS d (device_id, config);

-- name: config_rollouts_listed(viewer_id, viewer_is_admin, limit, offset)
-- The viewer's roll-outs, an admin's all of them, the newest first.
SELECT id, owner_id, experiment_id, user_id, config, percent, state, reason, created_at
FROM config_rollouts
WHERE :viewer_is_admin OR owner_id = :viewer_id
ORDER BY id DESC
LIMIT :limit OFFSET :offset;

-- name: config_rollouts_total(viewer_id, viewer_is_admin)$
-- How many rows that list has.
SELECT count(*) FROM config_rollouts WHERE :viewer_is_admin OR owner_id = :viewer_id;

-- name: config_rollout_by_id(id)^
-- One roll-out.
SELECT id, owner_id, experiment_id, user_id, config, percent, state, reason, created_at FROM config_rollouts WHERE id = :id;

-- name: config_rollout_to_change(id)^
-- One roll-out, kept from others until the transaction ends.
SELECT id, owner_id, experiment_id, user_id, config, percent, state, reason, created_at
FROM config_rollouts
WHERE id = :id
FOR NO KEY UPDATE;

-- name: running_config_rollouts()
-- The roll-outs that may have to be paused.
SELECT id FROM config_rollouts WHERE state = 'running' ORDER BY id;

-- name: config_rollout_progress(ids)
-- How far these roll-outs are, in devices. In trouble is one that refuses what it was told, or that reports an error
-- which it had not reported in the day before.
WITH told AS (
    SELECT
        o.id AS rollout_id,
        r.device_id,
        r.version,
        c.applied_at IS NOT NULL AS has_applied,
        c.applied_at IS NULL AND c.error IS NOT NULL AS has_refused,
        r.version IS NOT NULL AND EXISTS (
            SELECT FROM device_errors AS e
            WHERE
                e.device_id = r.device_id
                AND e.first_time >= greatest(r.told_at, o.running_since)
                AND NOT EXISTS (
                    SELECT FROM device_errors AS b
                    WHERE
                        b.device_id = e.device_id
                        AND b.component IS NOT DISTINCT FROM e.component
                        AND b.code = e.code
                        AND b.first_time < r.told_at
                        AND b.last_time >= r.told_at - INTERVAL '1 day'
                )
        ) AS has_new_errors
    FROM config_rollouts AS o
    LEFT JOIN config_rollout_devices AS r ON r.rollout_id = o.id
    LEFT JOIN device_configs AS c ON c.device_id = r.device_id AND c.version = r.version
    WHERE o.id = ANY(:ids::integer[])
)
SELECT
    rollout_id,
    count(device_id) AS total,
    count(version) AS told,
    count(*) FILTER (WHERE has_applied) AS applied,
    count(*) FILTER (WHERE has_refused) AS refused,
    coalesce(array_agg(device_id ORDER BY device_id) FILTER (WHERE has_refused OR has_new_errors), '{}')::bigint[]
        AS in_trouble
FROM told
GROUP BY rollout_id
ORDER BY rollout_id;

-- name: hold_devices_of_rollout(rollout_id)
-- Keep others from configuring a roll-out's devices until this transaction ends.
SELECT d.id
FROM devices AS d
WHERE d.id IN (SELECT device_id FROM config_rollout_devices WHERE rollout_id = :rollout_id)
ORDER BY d.id
FOR NO KEY UPDATE;

-- name: tell_config_rollout(rollout_id, most)!
-- Make a version for each of the first devices that has none yet, if its owner is still who may say so.
WITH made AS (
    INSERT INTO device_configs (device_id, version, config, author_id)
    SELECT
        r.device_id,
        coalesce((SELECT max(c.version) FROM device_configs AS c WHERE c.device_id = r.device_id), 0) + 1,
        r.config,
        o.owner_id
    FROM config_rollout_devices AS r
    JOIN config_rollouts AS o ON o.id = r.rollout_id
    JOIN users AS u ON u.id = o.owner_id
    JOIN devices AS d ON d.id = r.device_id AND d.archived_at IS NULL AND (u.role = 'admin' OR d.owner_id = u.id)
    WHERE
        r.rollout_id = :rollout_id
        AND r.version IS NULL
        -- not by their positions: a device that was deleted or handed over has left a gap
        AND r.device_id IN (
            SELECT f.device_id FROM config_rollout_devices AS f WHERE f.rollout_id = :rollout_id ORDER BY f.position LIMIT :most
        )
    RETURNING device_id, version, created_at
)
UPDATE config_rollout_devices AS r
SET version = m.version, told_at = m.created_at
FROM made AS m
WHERE r.rollout_id = :rollout_id AND r.device_id = m.device_id;

-- name: take_back_config_rollout(rollout_id)!
-- Tell every device that has not applied the roll-out's version, nor been told another since, what it was told before.
WITH back AS (
    SELECT r.device_id, r.version, p.config
    FROM config_rollout_devices AS r
    JOIN device_configs AS c ON c.device_id = r.device_id AND c.version = r.version AND c.applied_at IS NULL
    LEFT JOIN device_configs AS p ON p.device_id = r.device_id AND p.version = r.version - 1
    WHERE
        r.rollout_id = :rollout_id
        AND NOT EXISTS (SELECT FROM device_configs AS n WHERE n.device_id = r.device_id AND n.version > r.version)
),
made AS (
    INSERT INTO device_configs (device_id, version, config)
    SELECT
        device_id,
        version + 1,
        coalesce(config, '{"publish_interval": null, "components": {}, "settings": {}}')
    FROM back
)
UPDATE config_rollout_devices AS r
SET version = NULL, told_at = NULL
FROM back AS b
WHERE r.rollout_id = :rollout_id AND r.device_id = b.device_id;

-- name: change_config_rollout(id, percent, state, reason)!
-- Say all of a roll-out anew; one that goes on is judged by what happens from now on.
UPDATE config_rollouts
SET
    percent = :percent,
    running_since = CASE WHEN state = 'paused' AND :state = 'running' THEN now() ELSE running_since END,
    state = :state,
    reason = :reason
WHERE id = :id;
