-- Equations of the first kits, as the Smart Citizen platform has them; its kits of series 2 send values already. There
-- an equation is in two halves, one before storing and one after; here `raw` is as received and the two are one.
-- `almanac seed` may run this file any number of times: a version is never edited, and what supersedes it stays.
--
-- By kit where a sensor sits in kits that need different ones: noise (a table for each), and battery and light,
-- which kits of series 2 send as they are.
INSERT INTO calibrations (id, sensor_id, kit_id, valid_from, equation, note)
SELECT id, sensor_id, kit_id, '2000-01-01 00:00Z', equation, note
FROM (
    VALUES
        (1, 4, NULL::integer, 'raw / 10', 'SCK 1.0: tenths of ºC'),
        (2, 5, NULL, 'raw / 10', 'SCK 1.0: tenths of %'),
        (3, 6, NULL, 'raw / 10', 'SCK 1.0: tenths of %'),
        (4, 8, NULL, 'raw / 1000', 'SCK 1.0: ohm'),
        (5, 9, NULL, 'raw / 1000', 'SCK 1.0: ohm'),
        (6, 11, NULL, 'raw / 1000', 'SCK 1.0: mV'),
        (7, 12, NULL, '175.72 / 65536 * raw - 53', 'SCK 1.1: SHT21 datasheet, less 6.15 ºC for the heat of the board'),
        (8, 13, NULL, '125 / 65536 * raw + 7', 'SCK 1.1: SHT21 datasheet, and 13 % for the heat of the board'),
        (9, 15, NULL, 'raw / 1000', 'SCK 1.1: ohm'),
        (10, 16, NULL, 'raw / 1000', 'SCK 1.1: ohm'),
        (11, 17, NULL, 'raw / 10', 'SCK 1.1: tenths of %'),
        (12, 18, NULL, 'raw / 1000', 'SCK 1.1: mV'),
        (13, 10, 2, 'raw / 10', 'SCK 1.0: tenths of %'),
        (14, 14, 3, 'raw / 10', 'SCK 1.1: tenths of lux'),
        (
            15, 7, 2,
            'table((0, 0), (5, 45), (10, 55), (15, 63), (20, 65), (30, 67), (40, 69), (50, 70), (60, 71), (80, 72), '
            '(90, 73), (100, 74), (130, 75), (160, 76), (190, 77), (220, 78), (260, 79), (300, 80), (350, 81), '
            '(410, 82), (450, 83), (550, 84), (600, 85), (650, 86), (750, 87), (850, 88), (950, 89), (1100, 90), '
            '(1250, 91), (1375, 92), (1500, 93), (1650, 94), (1800, 95), (1900, 96), (2000, 97), (2125, 98), '
            '(2250, 99), (2300, 100), (2400, 101), (2525, 102), (2650, 103))',
            'SCK 1.0: mV to dB'
        ),
        (
            16, 7, 3,
            'table((0, 50), (2, 55), (3, 57), (6, 58), (20, 59), (40, 60), (60, 61), (75, 62), (115, 63), (150, 64), '
            '(180, 65), (220, 66), (260, 67), (300, 68), (375, 69), (430, 70), (500, 71), (575, 72), (660, 73), '
            '(720, 74), (820, 75), (900, 76), (975, 77), (1050, 78), (1125, 79), (1200, 80), (1275, 81), (1320, 82), '
            '(1375, 83), (1400, 84), (1430, 85), (1450, 86), (1480, 87), (1500, 88), (1525, 89), (1540, 90), '
            '(1560, 91), (1580, 92), (1600, 93), (1620, 94), (1640, 95), (1660, 96), (1680, 97), (1690, 98), '
            '(1700, 99), (1710, 100), (1720, 101), (1745, 102), (1770, 103), (1785, 104), (1800, 105), (1815, 106), '
            '(1830, 107), (1845, 108), (1860, 109), (1875, 110))',
            'SCK 1.1: mV to dB'
        )
) AS c (id, sensor_id, kit_id, equation, note)
WHERE kit_id IS NULL OR EXISTS (SELECT FROM kits WHERE kits.id = c.kit_id)
ON CONFLICT (id) DO NOTHING;
