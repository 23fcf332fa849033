"""Measure what it costs a request to be known and to be counted.

    python -m scripts.bench_auth [--server postgresql://…]

Without --server it runs on the embedded TimescaleDB. One device is asked for again and again, in turn by nobody without
and with limits, and with each kind of credentials. The API runs in this process. Prints one JSON object: the median in
milliseconds, and its ratio to that of nobody without limits.
"""

import argparse
import base64
import json
import platform
import secrets
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from flask import Flask

from app.accounts import create_account
from app.config import Config
from app.factory import create_app
from scripts import services
from scripts.bench_platform import database
from scripts.supervisor import running
from sql import connect

ROUNDS = 300
LIMITS = {"rate_limit_anonymous": 10**9, "rate_limit_token": 10**9}
NO_LIMITS = {"rate_limit_anonymous": 0, "rate_limit_token": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="a PostgreSQL server with TimescaleDB; a fresh database is made on it")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database(arguments.server, directory))
        port = services.free_port()
        stack.enter_context(running(services.redis(directory, port)))
        password = secrets.token_urlsafe(16)
        with connect(url) as conn:
            create_account(conn, username="bench", email="bench@example.org", password=password)
        about = (url, f"redis://127.0.0.1:{port}/0", secrets.token_urlsafe(32))
        free = create_app(Config(*about, pool_size=2, **NO_LIMITS))
        limited = create_app(Config(*about, pool_size=2, **LIMITS))
        print(json.dumps(measure(free, limited, password), indent=2))


def measure(free: Flask, limited: Flask, password: str) -> dict[str, object]:
    client = limited.test_client()
    session = client.post("/v0/sessions", json={"username": "bench", "password": password}).json["access_token"]
    signed_in = {"Authorization": f"Bearer {session}"}
    path = f"/v0/devices/{client.post('/v0/devices', json={'name': 'x'}, headers=signed_in).json['id']}"
    token = client.post("/v0/me/tokens", json={"name": "x", "scopes": ["devices:read"]}, headers=signed_in)
    basic = base64.b64encode(f"bench:{password}".encode()).decode()
    ways = {
        "nobody, no limits": (free, {}),
        "nobody": (limited, {}),
        "session": (limited, signed_in),
        "private token": (limited, {"Authorization": f"Bearer {token.json['token']}"}),
        "HTTP basic": (limited, {"Authorization": f"Basic {basic}"}),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (app, headers) in ways.items():
            started = time.perf_counter()
            status = app.test_client().get(path, headers=headers).status_code
            times[name].append((time.perf_counter() - started) * 1000)
            assert status == 200
    medians = {name: statistics.median(of_way) for name, of_way in times.items()}
    first = medians["nobody, no limits"]
    return {
        "results": {
            name: {"median_ms": round(median, 2), "ratio": round(median / first, 2)} for name, median in medians.items()
        },
        "machine": platform.machine(),
    }


if __name__ == "__main__":
    main()
