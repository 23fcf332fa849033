-- Several sites and no master: each is a whole platform that takes every write, and none waits for another.
--
-- PostgreSQL's logical replication carries two tables from each site to every other: `outbox`, batches of datapoints, and
-- `changes`, rows of the other replicated tables. Both are only ever added to, and a trigger at the receiving site merges
-- what arrives and keeps nothing of it, so nothing collides on the way. Of two writes of one thing the later wins, at
-- every site and in whatever order they arrive. Nothing here does anything before `almanac site init`.

CREATE TABLE site (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id smallint NOT NULL CHECK (id BETWEEN 1 AND sites),
    sites smallint NOT NULL CHECK (sites BETWEEN 2 AND 255) -- ids are given out in steps of this
);

-- The time of a write is that of a hybrid logical clock (Kulkarni et al., 2014): microseconds since 1970, times 256,
-- plus the site. It is never behind what this site has written or received, so whoever changes something that they have
-- seen wins over it, even where clocks differ by minutes. Null: written while there were no sites, and older than all.
ALTER TABLE datapoints ADD COLUMN hlc bigint;

CREATE SEQUENCE site_clock; -- microseconds, the newest given out or seen

CREATE FUNCTION wall_clock() RETURNS bigint LANGUAGE sql VOLATILE
RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

CREATE FUNCTION next_hlc() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    now_us bigint := wall_clock();
    tick bigint := nextval('site_clock');
BEGIN
    IF tick < now_us THEN
        tick := setval('site_clock', now_us);
    END IF;
    RETURN (tick << 8) | (SELECT id FROM site);
END;
$$;

CREATE FUNCTION see_hlc(seen bigint) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF seen >> 8 > (SELECT last_value FROM site_clock) THEN
        PERFORM setval('site_clock', seen >> 8);
    END IF;
END;
$$;

-- The clock's reading so many microseconds after another, as a site's.
CREATE FUNCTION hlc_after(hlc bigint, microseconds integer, site bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (((hlc >> 8) + microseconds) << 8) | site;

-- What goes to the other sites, until they have it. `lsn`, where it was written in the log, is compared with what they confirm.
CREATE TABLE outbox (
    hlc bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    lsn pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
    device_ids integer[] NOT NULL,
    sensor_ids integer[] NOT NULL,
    times timestamptz[] NOT NULL,
    raws double precision[] NOT NULL,
    values double precision[], -- null: the raws
    calibration_ids integer[] -- null: none
);

CREATE TABLE changes (
    hlc bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    lsn pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
    table_name text NOT NULL,
    key jsonb NOT NULL, -- {"id": 7}
    content jsonb, -- null: deleted
    given_up jsonb -- {"username": "ada"}: what it had to leave to an older row
);

-- What this site has to say because of something that it received: written in that transaction it would go nowhere,
-- since a site sends on nothing of others'. A worker sends it.
CREATE TABLE pending_changes (
    hlc bigint NOT NULL,
    table_name text NOT NULL,
    key jsonb NOT NULL,
    content jsonb,
    given_up jsonb
);

-- The last write of each row. `gone` is a tombstone. A row that is not here was written before there were sites.
CREATE TABLE row_versions (
    table_name text NOT NULL,
    key jsonb NOT NULL,
    hlc bigint NOT NULL,
    gone boolean NOT NULL,
    PRIMARY KEY (table_name, key)
);

-- What is replicated: a copy of app/sites/tables.py, which says what the columns mean.
CREATE TABLE replicated_tables (
    name text PRIMARY KEY,
    key text[] NOT NULL,
    local_columns text[] NOT NULL,
    faint_columns text[] NOT NULL,
    yielding jsonb NOT NULL
);

-- Accounts of this site that had to give up a name or an address, until their owners have been told.
CREATE TABLE account_changes_to_tell (
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    field text NOT NULL CHECK (field IN ('username', 'email')),
    given_up text NOT NULL,
    PRIMARY KEY (user_id, field)
);

-- Mails go out once: from the site where their receiver signed up.
CREATE FUNCTION is_told_here(user_id integer) RETURNS boolean LANGUAGE sql STABLE SET search_path FROM CURRENT
RETURN coalesce((SELECT mod(user_id, sites) = mod(id, sites) FROM site), true);

CREATE FUNCTION key_of(content jsonb, columns text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE
RETURN (SELECT jsonb_object_agg(c, content -> c) FROM unnest(columns) AS c);

-- Note a write of a row, which is later than the one before it whatever the clock says, and send it.
CREATE FUNCTION record_change(of_table text, of_key jsonb, new_hlc bigint, new_content jsonb)
RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO row_versions AS v (table_name, key, hlc, gone)
    VALUES (of_table, of_key, new_hlc, new_content IS NULL)
    ON CONFLICT (table_name, key) DO UPDATE
    SET hlc = greatest(excluded.hlc, hlc_after(v.hlc, 1, excluded.hlc & 255)), gone = excluded.gone
    RETURNING hlc INTO new_hlc;
    IF current_setting('almanac.merging', true) = 'on' THEN
        INSERT INTO pending_changes (hlc, table_name, key, content) VALUES (new_hlc, of_table, of_key, new_content);
    ELSE
        INSERT INTO changes (hlc, table_name, key, content) VALUES (new_hlc, of_table, of_key, new_content);
    END IF;
END;
$$;

-- Trigger of every replicated table, made by map_site().
CREATE FUNCTION capture_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
    target replicated_tables;
    before jsonb;
    after jsonb;
    row_key jsonb;
BEGIN
    SELECT * INTO STRICT target FROM replicated_tables WHERE name = TG_TABLE_NAME;
    IF TG_OP <> 'INSERT' THEN
        before := to_jsonb(OLD) - target.local_columns;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        after := to_jsonb(NEW) - target.local_columns;
    END IF;
    row_key := key_of(coalesce(after, before), target.key);
    IF
        after = before
        -- another site's deletion, carried out
        OR after IS NULL AND (SELECT gone FROM row_versions WHERE table_name = target.name AND key = row_key)
    THEN
        RETURN NULL;
    END IF;
    PERFORM record_change(
        target.name,
        row_key,
        CASE
            -- a machine's write comes right after the one that it follows, and so before a person's elsewhere
            WHEN TG_OP = 'UPDATE' AND after - target.faint_columns = before - target.faint_columns
                THEN (SELECT id::bigint FROM site)
            ELSE next_hlc()
        END,
        after
    );
    RETURN NULL;
END;
$$;

-- Make triggers, sequences and so on fit replicated_tables; again after a migration, which may have added tables or columns.
CREATE FUNCTION map_site() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    here site;
    target replicated_tables;
    columns text;
    counter record;
    newest bigint;
BEGIN
    SELECT * INTO STRICT here FROM site;
    FOR target IN SELECT * FROM replicated_tables ORDER BY name LOOP
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
        FROM pg_attribute
        WHERE
            attrelid = target.name::regclass
            AND attnum > 0
            AND NOT attisdropped
            AND attname <> ALL(target.local_columns);
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER capture_change AFTER INSERT OR DELETE OR UPDATE OF %s ON %I
             FOR EACH ROW EXECUTE FUNCTION capture_change()',
            columns, target.name
        );
        FOR counter IN
            SELECT attname AS name, pg_get_serial_sequence(quote_ident(target.name), attname) AS sequence
            FROM pg_attribute
            WHERE attrelid = target.name::regclass AND attnum > 0 AND NOT attisdropped
        LOOP
            CONTINUE WHEN counter.sequence IS NULL;
            EXECUTE format('ALTER SEQUENCE %s INCREMENT BY %s', counter.sequence, here.sites);
            EXECUTE format(
                'SELECT greatest((SELECT max(%I) FROM %I), (SELECT last_value FROM %s))',
                counter.name, target.name, counter.sequence
            ) INTO newest;
            PERFORM setval(
                counter.sequence, newest + 1 + mod(mod(here.id - newest - 1, here.sites) + here.sites, here.sites), false
            );
        END LOOP;
    END LOOP;
END;
$$;

-- Undo map_site(); ids go on in steps, which harms nobody.
CREATE FUNCTION unmap_site() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    target text;
BEGIN
    FOR target IN SELECT name FROM replicated_tables LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS capture_change ON %I', target);
    END LOOP;
    DELETE FROM site;
    DELETE FROM outbox;
    DELETE FROM changes;
    DELETE FROM pending_changes;
END;
$$;

-- What ingestors remember must go when a change arrives from another site, too.
ALTER TABLE device_tokens ENABLE ALWAYS TRIGGER ingest_version;
ALTER TABLE devices ENABLE ALWAYS TRIGGER ingest_version;
ALTER TABLE components ENABLE ALWAYS TRIGGER ingest_version;
ALTER TABLE sensors ENABLE ALWAYS TRIGGER ingest_version;
ALTER TABLE rollup_dirty ENABLE ALWAYS TRIGGER note_archive_change;
