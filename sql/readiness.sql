-- Whether the database can serve this release.

-- name: migrated()$
-- Names of the migrations that have been applied.
SELECT array_agg(name ORDER BY name) FROM schema_migrations;
