-- A chunk of days holds a year: 1,000 kits of 15 sensors are 5.5 million rows. By default it would be 70 days, and a
-- query of a few years would plan for twenty chunks to read a thousand rows.
SELECT set_chunk_time_interval('datapoints_1d', INTERVAL '365 days');
