-- Which other components an equation uses, so that a reading of one of those alone is seen to bear on it.

ALTER TABLE calibrations ADD COLUMN inputs text[] NOT NULL DEFAULT '{}'; -- keys

CREATE OR REPLACE VIEW calibration_periods AS
SELECT
    id,
    sensor_id,
    kit_id,
    device_id,
    equation,
    valid_from,
    lead(valid_from) OVER (PARTITION BY sensor_id, kit_id, device_id ORDER BY valid_from) AS valid_until,
    inputs
FROM (
    SELECT DISTINCT ON (sensor_id, kit_id, device_id, valid_from)
        id, sensor_id, kit_id, device_id, equation, valid_from, inputs
    FROM calibrations
    ORDER BY sensor_id, kit_id, device_id, valid_from, id DESC
) AS newest;
