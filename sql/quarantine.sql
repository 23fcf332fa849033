-- What could not be stored as datapoints.

-- name: delete_old_quarantine()!
-- Drop what has been kept for 90 days.
DELETE FROM quarantine WHERE received_at < now() - INTERVAL '90 days';
