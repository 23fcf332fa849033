"""What Prometheus gets of the API, the scheduler and the worker; the ingestor's is in tests/faults."""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import suite_log
from waiting import wait_for

from app.config import Config
from scripts import services
from scripts.supervisor import Child, Service

ALMANAC = Path(sys.executable).with_name("almanac")


@contextmanager
def almanac(config: Config, *arguments: str, says: str) -> Iterator[int]:
    """A process of the platform, and the port of its numbers."""
    port = services.free_port()
    env = {
        "DATABASE_URL": config.database_url,
        "REDIS_URL": config.redis_url,
        "SECRET_KEY": config.secret_key,
        "METRICS_PORT": str(port),
    }
    child = Child(Service(arguments[0], [ALMANAC, *arguments], env, says=says), suite_log.lines.append)
    child.start()
    try:
        child.wait_until_ready()
        yield port
    finally:
        child.stop()


def ask(port: int, path: str) -> int | None:
    """Return the status of the answer, or None where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def numbers(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_the_requests_of_all_processes_of_the_api_are_counted_by_route(config: Config) -> None:
    api = services.free_port()
    with almanac(config, "serve", "--port", str(api), "--workers", "2", says="Booting worker") as port:
        wait_for(lambda: ask(api, "/healthz") == 200)
        assert {ask(api, f"/v0/devices/{2**30 + number}") for number in range(8)} == {404}

        route = 'method="GET",route="/v0/devices/<int:device_id>"'
        wait_for(lambda: numbers(port).get(f'almanac_http_requests_total{{{route},status="404"}}') == 8)
        assert numbers(port)[f"almanac_http_request_seconds_count{{{route}}}"] == 8
        assert numbers(port)['almanac_database_pool_connections{state="waiting"}'] == 0


def test_the_scheduler_counts_jobs_by_state_and_tells_how_the_database_does(config: Config) -> None:
    with almanac(config, "schedule", says='"event":"active"') as port:
        found = numbers(port)

    assert found['almanac_jobs{queue="default",state="queued"}'] >= 1
    assert found['almanac_workers{state="idle"}'] == 0
    assert (found["almanac_redis_answers"], found["almanac_database_answers"]) == (1, 1)
    assert found["almanac_database_bytes"] > 2**20
    assert found['almanac_job_failed{job_name="upkeep.purge_quarantine"}'] == 0
    assert found["almanac_rollup_lag_seconds"] > 0


def test_while_the_database_is_away_its_numbers_are_missing_and_a_process_is_not_ready(config: Config) -> None:
    away = replace(config, database_url=f"postgresql://almanac@127.0.0.1:{services.free_port()}/none")
    with almanac(away, "schedule", says='"event":"away"') as port:
        found = numbers(port)
        assert [ask(port, path) for path in ("/readyz", "/healthz")] == [503, 200]

    assert found["almanac_database_answers"] == 0
    assert "almanac_database_bytes" not in found
    assert found["almanac_redis_answers"] == 1


def test_a_worker_tells_that_it_can_work(config: Config) -> None:
    with almanac(config, "worker", says='"event":"working"') as port:
        assert ask(port, "/readyz") == 200
        assert numbers(port)["process_resident_memory_bytes"] > 2**20
