-- A number that changes when something does that ingestors remember: whose a token is, which sensors exist, what a key
-- means. They read it with every batch and forget what they know when it has moved.
--
-- New devices, tokens and components do not move it: what is not known is looked up anyway.

CREATE TABLE ingest_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
INSERT INTO ingest_version (version) VALUES (1);

CREATE FUNCTION move_ingest_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ingest_version SET version = version + 1;
    RETURN NULL;
END;
$$;

CREATE TRIGGER ingest_version AFTER DELETE OR UPDATE OF device_id, hash, expires_at, revoked_at ON device_tokens
FOR EACH STATEMENT EXECUTE FUNCTION move_ingest_version();
CREATE TRIGGER ingest_version AFTER DELETE OR UPDATE OF archived_at ON devices
FOR EACH STATEMENT EXECUTE FUNCTION move_ingest_version();
CREATE TRIGGER ingest_version AFTER DELETE OR UPDATE OF device_id, sensor_id, key ON components
FOR EACH STATEMENT EXECUTE FUNCTION move_ingest_version();
CREATE TRIGGER ingest_version AFTER INSERT OR DELETE OR UPDATE OF id, default_key ON sensors
FOR EACH STATEMENT EXECUTE FUNCTION move_ingest_version();
