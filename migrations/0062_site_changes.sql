-- Rows from other sites: the later write wins, deletions too; two rows that claim one unique value do not stop anything.

-- When a row was made, to be compared with another of its table.
CREATE FUNCTION made_at(content jsonb) RETURNS timestamptz LANGUAGE sql STABLE
RETURN coalesce(content ->> 'created_at', content ->> 'received_at', '-infinity')::timestamptz;

-- A row without the value that an older one has, as a write of its own that is the same wherever it is made; without a
-- field to change, the row goes. Other sites are told: one of them may never see the two rows together.
CREATE FUNCTION give_way(change changes, field text) RETURNS changes LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    given_up text := change.content ->> field;
    id text := change.content ->> 'id';
BEGIN
    change.hlc := hlc_after(change.hlc, 2, change.hlc & 255); -- right after it there may be a machine's
    IF field IS NULL THEN
        change.content := NULL;
    ELSE
        change.given_up := coalesce(change.given_up, '{}') || jsonb_build_object(field, given_up);
        change.content := change.content || jsonb_build_object(field, CASE field
            WHEN 'email' THEN regexp_replace(given_up, '@', '+' || id || '@')
            WHEN 'key' THEN 'sensor_' || (change.content ->> 'sensor_id')
            WHEN 'mac_address' THEN NULL
            ELSE given_up || '-' || id
        END);
    END IF;
    INSERT INTO pending_changes (hlc, table_name, key, content, given_up)
    VALUES (change.hlc, change.table_name, change.key, change.content, change.given_up);
    RETURN change;
END;
$$;

-- Call it as session_replication_role = replica: what a row refers to may come after it, from a third site.
CREATE FUNCTION merge_change(change changes) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT SET timezone = 'UTC' SET almanac.merging = 'on' AS $$
DECLARE
    target replicated_tables;
    keys text; -- its columns, for SQL
    matching text; -- finds the row of the key $1
    current jsonb;
    known bigint;
    device integer;
    columns text[];
    upsert text;
    violated text;
    find_other text;
    other changes;
BEGIN
    PERFORM see_hlc(change.hlc);
    SELECT * INTO target FROM replicated_tables WHERE name = change.table_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another site sends rows of %, which this one does not know: run `almanac migrate` here', change.table_name;
    END IF;
    keys := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(target.key) AS k);
    matching := format('(%1$s) = (SELECT %1$s FROM jsonb_populate_record(NULL::%2$I, $1))', keys, target.name);
    EXECUTE format('SELECT to_jsonb(t) - $2 FROM %I AS t WHERE %s FOR NO KEY UPDATE', target.name, matching)
    INTO current USING change.key, target.local_columns;
    SELECT hlc INTO known FROM row_versions WHERE table_name = target.name AND key = change.key;
    known := coalesce(known, 0);
    -- Two writes of one hlc differ only where somebody has changed rows by hand: the larger wins.
    IF change.hlc < known OR change.hlc = known AND (change.content IS NULL OR change.content <= current) THEN
        RETURN;
    END IF;

    IF change.content IS NULL THEN
        INSERT INTO row_versions AS v (table_name, key, hlc, gone)
        VALUES (target.name, change.key, change.hlc, true)
        ON CONFLICT (table_name, key) DO UPDATE SET hlc = excluded.hlc, gone = true
        WHERE v.hlc < excluded.hlc;
        IF current IS NULL THEN
            RETURN;
        END IF;
        device := CASE WHEN target.name = 'devices' THEN (change.key ->> 'id')::integer END;
        IF device IS NOT NULL AND EXISTS (SELECT FROM datapoints WHERE device_id = device) THEN
            -- Years of readings: a worker deletes them month by month, and then the device.
            INSERT INTO device_purges (device_id, owner_id)
            SELECT id, owner_id FROM devices WHERE id = device
            ON CONFLICT (device_id) DO NOTHING;
            UPDATE devices SET archived_at = now() WHERE id = device AND archived_at IS NULL;
            RETURN;
        END IF;
        BEGIN
            PERFORM set_config('session_replication_role', 'origin', true); -- what belongs to it goes with it
            EXECUTE format('DELETE FROM %I WHERE %s', target.name, matching) USING change.key;
            PERFORM set_config('session_replication_role', 'replica', true);
        EXCEPTION WHEN foreign_key_violation THEN
            -- Something was made here that cannot be without it: it stays, and comes back at the other sites.
            PERFORM record_change(target.name, change.key, next_hlc(), current);
        END;
        RETURN;
    END IF;

    columns := ARRAY(
        SELECT attname::text
        FROM pg_attribute
        WHERE
            attrelid = target.name::regclass
            AND attnum > 0
            AND NOT attisdropped
            AND attgenerated = ''
            AND change.content ? attname::text
        ORDER BY attnum
    );
    upsert := format(
        'INSERT INTO %1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM jsonb_populate_record(NULL::%1$I, $1)
         ON CONFLICT (%3$s) DO %4$s',
        target.name,
        (SELECT string_agg(quote_ident(c), ', ') FROM unnest(columns) AS c),
        keys,
        coalesce(
            'UPDATE SET ' || (
                SELECT string_agg(format('%1$I = excluded.%1$I', c), ', ')
                FROM unnest(columns) AS c
                WHERE c <> ALL(target.key)
            ),
            'NOTHING'
        )
    );
    LOOP
        BEGIN
            EXECUTE upsert USING change.content;
            -- the row before its version, as whoever writes it here does: so nobody waits for each other
            INSERT INTO row_versions AS v (table_name, key, hlc, gone)
            VALUES (target.name, change.key, change.hlc, false)
            ON CONFLICT (table_name, key) DO UPDATE SET hlc = excluded.hlc, gone = false
            WHERE v.hlc = known;
            EXIT WHEN FOUND;
            RAISE serialization_failure;
        EXCEPTION
            WHEN serialization_failure THEN -- it was made here at the same moment
                PERFORM merge_change(change);
                RETURN;
            WHEN unique_violation THEN
                GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
        END;
        -- Another row has a value that only one may have: whichever was made later gives way, at every site alike.
        SELECT format(
            'SELECT to_jsonb(t) - $2 FROM %1$I AS t WHERE (%2$s) = (SELECT %2$s FROM jsonb_populate_record(NULL::%1$I, $1)) AND %3$s',
            target.name,
            string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n),
            coalesce(pg_get_expr(i.indpred, i.indrelid), 'true')
        ) INTO STRICT find_other
        FROM pg_index AS i
        CROSS JOIN generate_series(1, i.indnkeyatts) AS n
        WHERE i.indexrelid = quote_ident(violated)::regclass
        GROUP BY i.indexrelid, i.indpred, i.indrelid;
        EXECUTE find_other INTO other.content USING change.content, target.local_columns;
        CONTINUE WHEN other.content IS NULL; -- it has gone by now
        other.table_name := target.name;
        other.key := key_of(other.content, target.key);
        other.hlc := coalesce((SELECT hlc FROM row_versions WHERE table_name = target.name AND key = other.key), 0);
        IF (made_at(change.content), change.key) > (made_at(other.content), other.key) THEN
            PERFORM merge_change(give_way(change, target.yielding ->> violated));
            RETURN;
        END IF;
        PERFORM merge_change(give_way(other, target.yielding ->> violated));
    END LOOP;

    IF target.name = 'users' AND change.given_up IS NOT NULL THEN
        INSERT INTO account_changes_to_tell (user_id, field, given_up)
        SELECT (change.key ->> 'id')::integer, g.key, g.value
        FROM jsonb_each_text(change.given_up) AS g
        WHERE is_told_here((change.key ->> 'id')::integer)
        ON CONFLICT DO NOTHING;
    END IF;
END;
$$;

CREATE FUNCTION merge_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM merge_change(NEW);
    RETURN NULL;
END;
$$;
CREATE TRIGGER merge BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION merge_changes();
ALTER TABLE changes ENABLE REPLICA TRIGGER merge;
