-- How long the datapoints of one owner's devices are kept, where that is less than the platform keeps all: a day later
-- they go with their aggregates' buckets. The aggregates cannot stay as they do when whole chunks go: to refresh a day for
-- a late reading of anybody's computes it again for everybody.
ALTER TABLE users ADD COLUMN datapoints_kept_for interval; -- null: as long as the platform keeps them
