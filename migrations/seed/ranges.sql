-- What the catalogue's sensors can give, by their makers' datasheets, and how long one and the same value means that they
-- are stuck: only of those that never rest where there is air. A sensor that somebody has edited stays as it is.

UPDATE sensors AS s
SET minimum = r.minimum, maximum = r.maximum, stuck_after = r.stuck_after
FROM (
    VALUES
        (10, -1, 100, NULL), -- % of the battery; -1: at the mains
        (17, -1, 100, NULL),
        (53, 0, 140, 21600), -- dBA, ICS43432
        (55, -40, 125, 43200), -- degrees Celsius, SHT31
        (56, 0, 100, NULL), -- %, which rests at 100 in fog
        (58, 20, 110, 86400), -- kPa, MPL3115A2
        (79, -40, 125, 43200),
        (80, 0, 100, NULL),
        (87, 0, 1000, NULL), -- ug/m3, PMS5003, which rests at 0 in clean air
        (88, 0, 1000, NULL),
        (89, 0, 1000, NULL),
        (158, 0, 40000, 21600), -- ppm, SCD30
        (160, -40, 125, 43200),
        (161, 0, 100, NULL)
) AS r (id, minimum, maximum, stuck_after)
WHERE s.id = r.id AND s.updated_at = s.created_at AND (s.minimum, s.maximum, s.stuck_after) IS NOT DISTINCT FROM (NULL, NULL, NULL);
