"""What a datapoint takes on disk: in the row store, the columnstore and the aggregates of the database of DATABASE_URL.

Run it on one with history, as scripts/bench_history.py makes it, after its policies have converted what is old.
"""

import os

from sql import DictConnection, connect

_ROLLUPS = ("datapoints_15m", "datapoints_1h", "datapoints_1d")


def main() -> None:
    if "DATABASE_URL" not in os.environ:
        raise SystemExit("name the database to measure in DATABASE_URL")
    with connect(os.environ["DATABASE_URL"]) as conn:
        count = number(conn, "SELECT sum(n) FROM datapoints_1d")
        stats = "FROM hypertable_columnstore_stats('datapoints')"
        before = number(conn, f"SELECT before_compression_total_bytes {stats}")
        index = number(conn, f"SELECT before_compression_index_bytes {stats}")
        after = number(conn, f"SELECT after_compression_total_bytes {stats}")
        print(f"{count:,.0f} datapoints, by what their chunks were when they were converted:")
        print(f"row store    {before / count:6.1f} bytes a datapoint, {index / count:.1f} of them the index")
        print(f"columnstore  {after / count:6.1f} bytes a datapoint, {before / after:.1f} times less")
        total = 0.0
        for name in _ROLLUPS:
            size = number(
                conn,
                "SELECT hypertable_size(format('%I.%I', materialization_hypertable_schema, "
                "materialization_hypertable_name)::regclass) "
                f"FROM timescaledb_information.continuous_aggregates WHERE view_name = '{name}'",
            )
            buckets = number(conn, f"SELECT count(*) FROM {name}")
            total += size
            print(f"{name:14}{size / buckets:5.1f} bytes a bucket, {size / count:.2f} a datapoint")
        print(
            f"aggregates   {total / count:6.1f} bytes a datapoint; kept for ever {(after + total) / count:.1f} in all"
        )


def number(conn: DictConnection, query: str) -> float:
    row = conn.execute(query).fetchone()
    value = next(iter(row.values())) if row else None
    if value is None:
        raise SystemExit(
            "this database has no days in datapoints_1d, or no chunk in the columnstore: nothing to measure yet"
        )
    return float(value)


if __name__ == "__main__":
    main()
