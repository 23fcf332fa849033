"""Measure lists and maps of devices with 20,000 devices and 240,000 components in the database.

    python -m scripts.bench_devices [--server postgresql://…] [--devices 20000]

Without --server it runs on the embedded TimescaleDB. The API runs in this process, so a time is the server's alone:
routing, queries, JSON and compression. Prints one JSON object: milliseconds (fastest, median and slowest of the runs),
bytes as they travel, and the ratio of a page of devices to the same rows fetched by psycopg alone.
"""

import argparse
import json
import platform
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flask import Flask

from app.api import maps
from app.config import Config
from app.factory import create_app
from scripts import services
from scripts.bench_platform import database
from scripts.supervisor import running
from sql import DictConnection, connect, queries

OWNERS = 2_000
RUNS = 20
GZIP = {"Accept-Encoding": "gzip"}
REQUESTS = {
    "devices, 100 a page": "/v0/devices?per_page=100",
    "devices, 25 a page": "/v0/devices",
    "devices, page 150 of 100": "/v0/devices?per_page=100&page=150",
    "devices, 100 near a place": "/v0/devices?per_page=100&near=41.4,2.2",
    "devices, 100 by name": "/v0/devices?per_page=100&q[name_cont]=99&q[s]=last_reading_at desc",
    "one device": "/v0/devices/777",
    "world_map": "/v0/devices/world_map",
    "fresh_world_map": "/v0/devices/fresh_world_map",
    "GeoJSON, the whole world": "/v0/devices/map.geojson",
    "GeoJSON, the whole world, zoom 3": "/v0/devices/map.geojson?zoom=3",
    "GeoJSON, a city": "/v0/devices/map.geojson?bbox=2.0,41.3,2.3,41.5",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    parser.add_argument("--devices", type=int, default=20_000, help="with 12 components each [%(default)s]")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(arguments.server, directory))
        port = services.free_port()
        stack.enter_context(running(services.redis(directory, port)))
        conn = stack.enter_context(connect(url))
        fill(conn, arguments.devices)
        redis_url = f"redis://127.0.0.1:{port}/0"
        app = create_app(Config(url, redis_url, secrets.token_urlsafe(32), pool_size=4, rate_limit_anonymous=0))
        print(json.dumps(measure(app, conn), indent=2))


def fill(conn: DictConnection, devices: int) -> None:
    """Make owners and devices as a grown platform has them: crowded cities, long tails, a few tags."""
    conn.execute(
        """
        INSERT INTO users (username, email, password_hash, city, country_code)
        SELECT 'user' || n, 'user' || n || '@example.org', '', 'Barcelona', 'ES' FROM generate_series(1, %s) AS n
        """,
        [OWNERS],
    )
    conn.execute(
        """
        INSERT INTO devices (
            owner_id, kit_id, name, description, exposure, exact_latitude, exact_longitude, blurred_latitude,
            blurred_longitude, geohash, city, country_code, hardware_info, last_reading_at, created_at, is_private
        )
        SELECT
            1 + (n * n) %% %s, 26, 'Sensor ' || n || ' at ' || substr(md5(n::text), 1, 8),
            'A kit on a balcony, number ' || n,
            CASE WHEN n %% 3 = 0 THEN 'indoor' ELSE 'outdoor' END, place.latitude, place.longitude, place.latitude,
            place.longitude, 'sp3e9bn4by', 'Barcelona', 'ES',
            '{"hw_ver": "2.1", "id": "6C4C1AF4504E4B4B372E314AFF031619", "mac": "5E:CF:7F:D1:75:78"}'::jsonb,
            now() - (n %% 5000) * interval '1 minute', now() - (n %% 1000) * interval '1 day', n %% 50 = 0
        FROM generate_series(1, %s) AS n, LATERAL (
            SELECT
                round((41 + n %% 7 * 1.7 + sin(n) * 0.2 * (1 + n %% 40))::numeric, 5)::float8 AS latitude,
                round((2 + n %% 11 * 3.1 + cos(n * 1.3) * 0.2 * (1 + n %% 60))::numeric, 5)::float8 AS longitude
        ) AS place
        """,
        [OWNERS, devices],
    )
    conn.execute(
        """
        INSERT INTO components (device_id, sensor_id, key, latest_time, latest_value, previous_value)
        SELECT d.id, k.sensor_id, k.key, d.last_reading_at, 20.5, 20.4
        FROM devices AS d, (SELECT * FROM kit_components WHERE kit_id = 26 ORDER BY sensor_id LIMIT 12) AS k
        """
    )
    conn.execute("INSERT INTO tags (name) SELECT 'tag ' || n FROM generate_series(1, 40) AS n")
    conn.execute("INSERT INTO devices_tags (device_id, tag_id) SELECT id, 1 + id % 40 FROM devices WHERE id % 2 = 0")
    conn.execute("INSERT INTO device_tokens (device_id, hash) SELECT id, sha256(id::text::bytea) FROM devices")
    for table in ("users", "devices", "components", "devices_tags", "device_tokens", "sensors"):
        conn.execute(f"VACUUM (ANALYZE) {table}".encode())


def measure(app: Flask, conn: DictConnection) -> dict[str, Any]:
    client = app.test_client()
    results: dict[str, Any] = {}
    for name, path in REQUESTS.items():
        for cached in (False, True):
            if cached and "map" not in path:
                continue

            def ask(path: str = path, cached: bool = cached) -> int:
                if not cached:
                    maps.forget()
                answer = client.get(path, headers=GZIP)
                assert answer.status_code == 200, answer.text
                return len(answer.data)

            results[f"{name}{', asked again' if cached else ''}"] = timed(ask)

    ids = [row["id"] for row in conn.execute("SELECT id FROM devices WHERE NOT is_private ORDER BY id LIMIT 100")]
    plain = timed(lambda: bare(conn, ids))
    page = results["devices, 100 a page"]
    server = conn.execute("SELECT version() AS postgresql, extversion FROM pg_extension WHERE extname = 'timescaledb'")
    return {
        "results": results,
        "the page's rows by psycopg alone": plain,
        "ratio of the page to its rows": round(page["median_ms"] / plain["median_ms"], 2),
        "machine": platform.machine(),
        "server": server.fetchone(),
    }


def bare(conn: DictConnection, ids: list[int]) -> int:
    """Fetch what a page of devices shows, and do nothing with it."""
    rows = [queries.devices_by_ids(conn, ids=ids), queries.components_of_devices(conn, ids=ids)]
    return sum(map(len, rows))


def timed(call: Callable[[], int]) -> dict[str, float]:
    size = call()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return {
        "fastest_ms": round(min(times), 1),
        "median_ms": round(statistics.median(times), 1),
        "slowest_ms": round(max(times), 1),
        "bytes": size,
    }


if __name__ == "__main__":
    main()
