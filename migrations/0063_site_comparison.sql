-- What two sites compare to find where they differ, and what a new one copies.

-- Every row of a replicated table, with the time of its last write; without content: deleted.
CREATE FUNCTION rows_of(of_table text) RETURNS TABLE (hlc bigint, key jsonb, content jsonb)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
    target replicated_tables;
BEGIN
    SELECT * INTO STRICT target FROM replicated_tables WHERE name = of_table;
    RETURN QUERY EXECUTE format(
        'SELECT coalesce(v.hlc, 0), coalesce(v.key, r.key), CASE WHEN v.gone THEN NULL ELSE r.content END
         FROM (SELECT key_of(to_jsonb(t), $1) AS key, to_jsonb(t) - $2 AS content FROM %I AS t) AS r
         FULL JOIN (SELECT * FROM row_versions WHERE table_name = $3) AS v ON v.key = r.key',
        target.name
    ) USING target.key, target.local_columns, target.name;
END;
$$;
