"""Every refusal has the same shape and says what to do; nothing that a client sends is an error of ours."""

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caller import PASSWORD, Caller
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.config import Config, ConfigError
from app.factory import create_app
from scripts.services import free_port
from sql import DictConnection

DEVICE_FIELDS = ("name", "description", "kit_id", "latitude", "elevation", "exposure", "device_token", "is_private")
_GOOD = {
    "DATABASE_URL": "postgresql://almanac@127.0.0.1/almanac",
    "REDIS_URL": "redis://127.0.0.1/0",
    "SECRET_KEY": "s" * 32,
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def assert_envelope(answer: Any, status: int, slug: str) -> None:
    assert (answer.status_code, set(answer.json), answer.json["id"]) == (
        status,
        {"id", "message", "errors", "url"},
        slug,
    )
    assert answer.json["message"]


def test_a_route_that_is_not_there_is_not_found(anybody: Caller) -> None:
    assert_envelope(anybody.get("/v0/no/such/route"), 404, "not_found")


def test_a_method_that_a_route_does_not_know_is_refused(anybody: Caller) -> None:
    answer = anybody.delete("/v0/sessions/no")

    assert answer.status_code in (404, 405)
    assert_envelope(anybody.put("/v0/devices", {}), 405, "method_not_allowed")


def test_a_device_that_is_not_there_is_named(anybody: Caller) -> None:
    answer = anybody.get("/v0/devices/2147483647")

    assert_envelope(answer, 404, "record_not_found")
    assert "2147483647" in answer.json["message"]


def test_malformed_json_is_refused(user: Caller) -> None:
    answer = user.post("/v0/devices", data=b'{"name": ', headers={"Content-Type": "application/json"})

    assert_envelope(answer, 400, "bad_request")


def test_what_is_wrong_with_a_field_is_said_by_its_name(anybody: Caller) -> None:
    answer = anybody.post("/v0/users", {"username": "ab", "email": "no address", "password": "short"})

    assert_envelope(answer, 422, "unprocessable_entity")
    assert set(answer.json["errors"]) == {"username", "email", "password"}


def test_a_taken_username_is_refused_in_any_case(user: Caller, anybody: Caller) -> None:
    taken = {"username": user.user["username"].upper(), "email": "new@example.org", "password": PASSWORD}
    answer = anybody.post("/v0/users", taken)

    assert_envelope(answer, 422, "unprocessable_entity")
    assert list(answer.json["errors"]) == ["username"]


def test_an_integer_larger_than_any_id_is_no_error_of_ours(user: Caller, anybody: Caller) -> None:
    assert anybody.get(f"/v0/devices/{10**30}").status_code == 404
    assert user.post("/v0/devices", {"name": "Balcony", "kit_id": 10**30}).status_code == 422


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.fixed_dictionaries({}, optional=dict.fromkeys(DEVICE_FIELDS, JSON_VALUES)))
def test_no_fields_of_a_new_device_are_an_error_of_ours(user: Caller, body: dict[str, Any]) -> None:
    assert user.post("/v0/devices", body).status_code in (201, 404, 422)


def test_the_openapi_document_and_its_page_need_no_other_host(anybody: Caller) -> None:
    document, page = anybody.get("/openapi.json"), anybody.get("/docs")

    assert document.json["openapi"].startswith("3.1")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


def test_without_a_version_a_path_means_v0(user: Caller) -> None:
    device = user.register_device()

    assert user.get(f"/devices/{device['id']}").json["id"] == device["id"]
    assert user.get(f"/devices/{device['id']}/").status_code == 200


def test_ready_means_the_database_answers_and_has_the_schema(anybody: Caller) -> None:
    assert anybody.get("/healthz").status_code == 200
    assert anybody.get("/readyz").json == {"status": "ok", "database": "ok", "redis": "ok"}


def test_without_redis_the_api_is_ready_and_says_what_is_missing(config: Config) -> None:
    app = create_app(replace(config, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    ready = Caller(app).get("/readyz")
    app.extensions["database_pool"].close()

    assert (ready.status_code, ready.json["status"]) == (200, "degraded")
    assert "Redis" in ready.json["redis"]


def test_a_release_whose_migration_is_missing_is_not_ready(anybody: Caller, conn: DictConnection) -> None:
    applied = conn.execute("DELETE FROM schema_migrations WHERE name LIKE '0048%' RETURNING *").fetchone()
    assert applied is not None
    try:
        ready = anybody.get("/readyz")
        assert_envelope(ready, 503, "service_unavailable")
        assert applied["name"] in ready.json["message"]
    finally:
        conn.execute("INSERT INTO schema_migrations VALUES (%(name)s, %(sha256)s, %(applied_at)s)", applied)


def test_a_database_that_is_away_is_said_to_be_so(redis_url: str) -> None:
    nowhere = Config("postgresql://almanac@127.0.0.1:1/none", redis_url, "s" * 32, pool_size=1)
    caller = Caller(create_app(nowhere))

    assert caller.get("/healthz").status_code == 200
    assert_envelope(caller.get("/readyz"), 503, "service_unavailable")
    answer = caller.get("/v0/devices/1")
    assert_envelope(answer, 503, "service_unavailable")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SECRET_KEY", "short", "SECRET_KEY has 5 characters"),
        ("SECRET_KEY", "", "SECRET_KEY"),
        ("DATABASE_URL", "", "DATABASE_URL"),
        ("RATE_LIMIT_ANONYMOUS", "-1", "RATE_LIMIT_ANONYMOUS"),
        ("RATE_LIMIT_TOKEN", "-1", "RATE_LIMIT_TOKEN"),
        ("RATE_LIMIT_SIGN_IN", "-1", "RATE_LIMIT_SIGN_IN"),
        ("TRUSTED_PROXIES", "yes", "TRUSTED_PROXIES"),
        ("TRUSTED_PROXIES", "-1", "TRUSTED_PROXIES"),
        ("MAIL_URL", "localhost:25", "MAIL_URL must look like smtp://"),
        ("DATABASE_URL", "nowhere", "DATABASE_URL must look like postgresql://"),
        ("DATABASE_READ_URL", "mysql://user:secret@host/db", "DATABASE_READ_URL must look like postgresql://"),
        ("DATABASE_POOL_SIZE", "0", "DATABASE_POOL_SIZE"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL must look like redis://"),
        ("STORAGE_URL", "/srv/almanac", "STORAGE_URL must look like file:///"),
        ("TILE_URL_FILE", "/nowhere", "TILE_URL_FILE must be a readable file"),
    ],
)
def test_a_missing_or_wrong_variable_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    for name, good in _GOOD.items():
        monkeypatch.setenv(name, good)
    monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable)

    with pytest.raises(ConfigError, match=said):
        Config.from_env()


@pytest.mark.parametrize("command", ["serve", "ingest", "schedule", "migrate", "broker keep", "broker check"])
def test_a_process_that_cannot_read_its_settings_says_so_in_a_sentence(command: str) -> None:
    brokers = {"MQTT_URL": "mqtt://127.0.0.1", "MQTT_ADMIN_URL": "mqtt://127.0.0.1"}
    ended = run(command, DATABASE_URL="mysql://user:secret@host/db", **brokers)

    assert ended.returncode == 1
    assert "DATABASE_URL must look like" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("ingest", "REDIS_URL", "localhost:6379"),
        ("ingest", "MQTT_URL", "localhost:1883"),
        ("ingest", "BATCH_MESSAGES", "0"),
        ("ingest", "BATCH_MESSAGES", "32768"),
        ("ingest", "BATCH_SECONDS", "-1"),
        ("ingest", "DATABASE_PATIENCE_SECONDS", "0"),
        ("ingest", "METRICS_PORT", "65536"),
        ("ingest", "LOG_LEVEL", "LOUD"),
        ("worker", "METRICS_PORT", "65536"),
        ("worker", "METRICS_PORT", "on"),
        ("forward", "MQTT_URL", "localhost:1883"),
        ("broker keep", "MQTT_ADMIN_URL", "localhost:1884"),
        ("broker keep", "MQTT_URL", "localhost:1885"),
    ],
)
def test_a_process_names_the_setting_that_is_wrong(command: str, variable: str, value: str) -> None:
    broker = {"MQTT_URL": "mqtt://127.0.0.1", "MQTT_ADMIN_URL": "mqtt://127.0.0.1"}
    ended = run(command, **{**broker, variable: value})

    assert ended.returncode == 1
    assert variable in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_api_names_the_port_that_is_none() -> None:
    ended = run("serve", API_PORT="65536")

    assert ended.returncode == 2
    assert "'--port': 65536 is not in the range" in ended.stderr


def test_a_worker_without_redis_says_so_in_a_sentence() -> None:
    ended = run("worker", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")

    assert ended.returncode == 1
    assert "Redis does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["serve --port 0", "ingest"])
def test_a_process_whose_metrics_port_is_taken_says_so_in_a_sentence(command: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(command, MQTT_URL="mqtt://127.0.0.1", METRICS_PORT=str(port), TMPDIR=str(tmp_path))

    assert ended.returncode == 1
    assert f"METRICS_PORT: cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("almanac-metrics-*"))


def run(command: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("almanac")
    return subprocess.run(
        [program, *command.split()], env={**_GOOD, **env}, capture_output=True, text=True, timeout=60, check=False
    )
