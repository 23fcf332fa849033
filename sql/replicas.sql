-- How far the primary has written, and a replica has followed.

-- name: written_until()^
-- Up to where the log holds whatever has been confirmed, and when that was asked.
SELECT pg_current_wal_flush_lsn()::text AS position, statement_timestamp() AS moment;

-- name: has_replayed(position)$
-- Whether this server shows what the log holds up to a position of it; one that follows nobody is the primary itself.
SELECT NOT pg_is_in_recovery() OR coalesce(pg_last_wal_replay_lsn() >= :position::pg_lsn, false);
