-- For how long a day has been waiting for its refresh; that of a mark that stands already is when the schema came here.
ALTER TABLE rollup_dirty ADD COLUMN marked_at timestamptz NOT NULL DEFAULT now();
