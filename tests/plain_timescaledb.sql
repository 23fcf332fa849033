-- What the migrations call of TimescaleDB, for a PostgreSQL server without it: the hypertable stays a plain table and
-- each aggregate becomes a plain view, which is always right; policies do nothing. tests/postgres_servers.py uses it.

CREATE SCHEMA timescaledb_information;
CREATE TABLE timescaledb_information.chunks (
    hypertable_schema name, hypertable_name name, chunk_schema name, chunk_name name,
    range_start timestamptz, range_end timestamptz, is_compressed boolean, chunk_creation_time timestamptz
);
CREATE TABLE timescaledb_information.continuous_aggregates (
    hypertable_schema name, hypertable_name name, view_schema name, view_name name,
    materialization_hypertable_schema name, materialization_hypertable_name name
);
CREATE TABLE timescaledb_information.jobs (
    job_id integer, application_name name, schedule_interval interval, proc_schema name, proc_name name,
    scheduled boolean, config jsonb, next_start timestamptz, hypertable_schema name, hypertable_name name
);
CREATE TABLE timescaledb_information.job_stats (
    hypertable_schema name, hypertable_name name, job_id integer, last_run_started_at timestamptz,
    last_successful_finish timestamptz, last_run_status text, job_status text, last_run_duration interval,
    next_start timestamptz, total_runs bigint, total_successes bigint, total_failures bigint
);
CREATE TABLE timescaledb_information.job_errors (
    job_id integer, proc_schema text, proc_name text, finish_time timestamptz, sqlerrcode text, err_message text
);
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE _timescaledb_catalog.hypertable (id integer, table_name name);
CREATE TABLE _timescaledb_catalog.dimension (id integer, hypertable_id integer);
CREATE TABLE _timescaledb_catalog.dimension_slice (dimension_id integer, range_start bigint);

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
