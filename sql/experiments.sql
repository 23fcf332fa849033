-- Experiments: devices that people look at together.

-- name: experiments_listed()
-- Every experiment whose owner's account is open, for lists.
SELECT e.id, e.name, e.description, e.owner_id, e.is_test, e.starts_at, e.ends_at, e.created_at, e.updated_at
FROM experiments AS e
JOIN users AS u ON u.id = e.owner_id AND u.archived_at IS NULL
ORDER BY e.id;

-- name: experiments_by_ids(ids, viewer_id, viewer_is_admin)
-- These experiments, of open accounts, with those of their devices that the viewer may see, in the order of the ids.
SELECT
    e.id,
    e.name,
    e.description,
    e.owner_id,
    now() >= coalesce(e.starts_at, '-infinity') AND now() <= coalesce(e.ends_at, 'infinity') AS active,
    e.is_test,
    e.starts_at,
    e.ends_at,
    ARRAY(
        SELECT d.id
        FROM devices_experiments AS de
        JOIN devices AS d ON d.id = de.device_id
        WHERE
            de.experiment_id = e.id
            AND d.archived_at IS NULL
            AND device_visible(d.owner_id, d.is_private, :viewer_id, :viewer_is_admin)
        ORDER BY d.id
    )::bigint[] AS device_ids,
    e.created_at,
    e.updated_at
FROM unnest(:ids::integer[]) WITH ORDINALITY AS asked (id, position)
JOIN experiments AS e USING (id)
JOIN users AS u ON u.id = e.owner_id AND u.archived_at IS NULL
ORDER BY asked.position;

-- name: hold_experiment(id)^
-- Keep an experiment from others until the transaction ends.
SELECT id FROM experiments WHERE id = :id FOR NO KEY UPDATE;

-- name: insert_experiment(owner_id, name, description, is_test, starts_at, ends_at)$
-- Make an experiment and return its id.
INSERT INTO experiments (owner_id, name, description, is_test, starts_at, ends_at)
VALUES (:owner_id, :name, :description, :is_test, :starts_at, :ends_at)
RETURNING id;

-- name: update_experiment(id, name, description, is_test, starts_at, ends_at)!
-- Say all of an experiment anew.
UPDATE experiments
SET
    name = :name,
    description = :description,
    is_test = :is_test,
    starts_at = :starts_at,
    ends_at = :ends_at,
    updated_at = now()
WHERE id = :id;

-- name: delete_experiment(id)!
-- Delete an experiment; its devices stay.
DELETE FROM experiments WHERE id = :id;

-- name: devices_to_experiment_with(ids)
-- What decides whether these devices may be in an experiment; archived ones are left out. None of them is deleted before
-- the transaction ends.
SELECT id, owner_id, is_private
FROM devices
WHERE id = ANY(:ids::integer[]) AND archived_at IS NULL
ORDER BY id
FOR KEY SHARE;

-- name: delete_devices_of_experiment(experiment_id)!
-- Take all devices out of an experiment.
DELETE FROM devices_experiments WHERE experiment_id = :experiment_id;

-- name: insert_devices_of_experiment(experiment_id, device_ids)!
-- Put devices into an experiment.
INSERT INTO devices_experiments (experiment_id, device_id)
SELECT :experiment_id, device_id
FROM unnest(:device_ids::integer[]) AS d (device_id)
ON CONFLICT DO NOTHING;
