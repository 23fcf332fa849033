-- How long datapoints are kept.

-- name: datapoints_kept_for()$
-- For how many days datapoints are kept; null: for ever.
SELECT (extract(EPOCH FROM datapoints_kept_for) / 86400)::integer FROM ingest_version;

-- name: keep_datapoints_for(days)!
-- Keep datapoints for so many days, null for ever; the aggregates stay.
CALL keep_datapoints_for(make_interval(days => :days::integer));
