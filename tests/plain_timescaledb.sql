-- What the migrations call of TimescaleDB, for a PostgreSQL server without it: the hypertable stays a plain table and
-- each aggregate becomes a plain view, which is always right; policies do nothing. tests/postgres_servers.py uses it.

CREATE SCHEMA timescaledb_information;
CREATE VIEW timescaledb_information.chunks AS
SELECT
    NULL::name AS hypertable_schema, NULL::name AS hypertable_name, NULL::name AS chunk_schema, NULL::name AS chunk_name,
    NULL::timestamptz AS range_start, NULL::timestamptz AS range_end, NULL::boolean AS is_compressed
WHERE false;
CREATE VIEW timescaledb_information.continuous_aggregates AS
SELECT
    NULL::name AS view_name,
    NULL::name AS materialization_hypertable_schema, NULL::name AS materialization_hypertable_name
WHERE false;
CREATE VIEW timescaledb_information.jobs AS
SELECT NULL::integer AS job_id, NULL::name AS proc_name, NULL::name AS hypertable_name
WHERE false;

CREATE FUNCTION by_range(name, interval) RETURNS text LANGUAGE sql RETURN $1;
CREATE FUNCTION create_hypertable(regclass, text, create_default_indexes boolean) RETURNS void LANGUAGE sql
RETURN NULL::void;
CREATE FUNCTION set_chunk_time_interval(regclass, interval) RETURNS void LANGUAGE sql RETURN NULL::void;
CREATE FUNCTION add_retention_policy(regclass, drop_after interval) RETURNS integer LANGUAGE sql RETURN 0;
CREATE FUNCTION remove_retention_policy(regclass, if_exists boolean) RETURNS void LANGUAGE sql RETURN NULL::void;
CREATE FUNCTION add_job(regproc, interval, initial_start timestamptz DEFAULT NULL) RETURNS integer LANGUAGE sql
RETURN 0;
CREATE FUNCTION alter_job(integer, next_start timestamptz) RETURNS void LANGUAGE sql RETURN NULL::void;
CREATE PROCEDURE add_columnstore_policy(regclass, after interval) LANGUAGE sql BEGIN ATOMIC END;
CREATE PROCEDURE convert_to_columnstore(regclass) LANGUAGE sql BEGIN ATOMIC END;
CREATE PROCEDURE refresh_continuous_aggregate(regclass, timestamptz, timestamptz, force boolean DEFAULT false)
LANGUAGE sql BEGIN ATOMIC END;

CREATE FUNCTION time_bucket(interval, timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN date_bin($1, $2, '2000-01-03 00:00Z');

CREATE TYPE timed_value AS (value double precision, time timestamptz);
CREATE FUNCTION earlier(timed_value, double precision, timestamptz) RETURNS timed_value LANGUAGE sql IMMUTABLE
RETURN CASE WHEN $1 IS NULL OR $3 < ($1).time THEN ROW($2, $3)::timed_value ELSE $1 END;
CREATE FUNCTION later(timed_value, double precision, timestamptz) RETURNS timed_value LANGUAGE sql IMMUTABLE
RETURN CASE WHEN $1 IS NULL OR $3 > ($1).time THEN ROW($2, $3)::timed_value ELSE $1 END;
CREATE FUNCTION value_of(timed_value) RETURNS double precision LANGUAGE sql IMMUTABLE RETURN ($1).value;
CREATE AGGREGATE first(double precision, timestamptz) (sfunc = earlier, stype = timed_value, finalfunc = value_of);
CREATE AGGREGATE last(double precision, timestamptz) (sfunc = later, stype = timed_value, finalfunc = value_of);
