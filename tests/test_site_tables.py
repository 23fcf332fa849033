"""Every table is either shared by sites or kept by each, and what is said of the shared ones is true."""

from app.sites.tables import LOCAL, REPLICATED
from sql import DictConnection


def test_every_table_is_classed_as_replicated_or_local(conn: DictConnection) -> None:
    rows = conn.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'").fetchall()
    unclassed = sorted({row["name"] for row in rows} - REPLICATED.keys() - LOCAL.keys())
    assert not unclassed, (
        f"{', '.join(unclassed)}: say in app/sites/tables.py whether sites share it, a line a table. REPLICATED is"
        " for what a user owns or sees: give its key where that is not `id`, and as `local` the columns that an"
        " ingestor or a job keeps up to date at each site. LOCAL is for jobs and what follows from other tables."
    )
    assert not REPLICATED.keys() & LOCAL.keys()


def test_what_is_said_of_replicated_tables_is_there(conn: DictConnection) -> None:
    for name, table in REPLICATED.items():
        columns = {
            row["name"]
            for row in conn.execute(
                "SELECT attname AS name FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                [name],
            )
        }
        unique = {
            row["name"]: (frozenset(row["columns"]), row["simple"])
            for row in conn.execute(
                "SELECT i.indexrelid::regclass::text AS name, array_agg(a.attname::text) AS columns,"
                " bool_and(i.indexprs IS NULL AND i.indpred IS NULL) AS simple"
                " FROM pg_index AS i"
                " LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
                " WHERE i.indrelid = %s::regclass AND i.indisunique GROUP BY i.indexrelid",
                [name],
            )
        }
        named = {*table.key.split(), *table.local.split(), *table.faint.split(), *table.yielding.values()}
        assert named <= columns, f"{name} has no {named - columns}"
        assert (frozenset(table.key.split()), True) in unique.values(), f"{name}: no unique index on ({table.key})"
        assert table.yielding.keys() <= unique.keys(), f"{name} has no {table.yielding.keys() - unique.keys()}"
