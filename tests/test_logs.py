"""No secret gets into a log."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import suite_log
from caller import PASSWORD, Caller
from waiting import wait_for

from app.config import Config
from ingestor.log import JsonLines, masked
from scripts.services import answers, free_port

SECRET = "3QbXk0xL1oP2-s_s"


@pytest.mark.parametrize(
    "line",
    [
        f"POST /v0/devices/7/readings?access_token={SECRET} HTTP/1.1",
        f"POST /v0/devices/7/readings?x=1&access_token={SECRET}&y=2",
        f"GET /v0/password_resets/{SECRET} HTTP/1.1",
        f"GET /ui/password_reset/{SECRET}?x=1",
        f"GET /v0/exports/7/download/{SECRET}/almanac-20-balcony.csv.gz",
        f"GET /callback?code={SECRET}&state=1",
        f"Authorization: Bearer {SECRET}",
        f"authorization: basic {SECRET}",
        f"almanac_{SECRET}{'x' * 27}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}",
    ],
)
def test_a_secret_in_an_address_or_header_is_masked(line: str) -> None:
    assert SECRET not in masked(line)
    assert "…" in masked(line)


@pytest.mark.parametrize(
    "line", ["GET /v0/devices/7/readings?sensor_id=55&rollup=1h", '{"event":"no basic credentials"}', "almanac_test_1"]
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert masked(line) == line


def test_the_configuration_shows_no_password(config: Config) -> None:
    shown = repr(replace(config, mail_url=f"smtp://user:{SECRET}@host"))

    assert "pool_size" in shown
    assert SECRET not in shown
    assert config.secret_key not in shown
    assert config.database_url not in shown


def test_our_own_log_masks_what_a_call_gave_it() -> None:
    record = logging.makeLogRecord({"msg": "asked", "path": f"/x?access_token={SECRET}"})

    assert json.loads(JsonLines().format(record))["path"] == "/x?access_token=…"


def test_the_access_log_of_the_server_shows_no_token(config: Config, tmp_path: Path) -> None:
    port, access_log = free_port(), tmp_path / "access.log"
    env = {
        "DATABASE_URL": config.database_url,
        "REDIS_URL": config.redis_url,
        "SECRET_KEY": config.secret_key,
        "GUNICORN_CMD_ARGS": f"--access-logfile {access_log}",
    }
    serve = [Path(sys.executable).with_name("almanac"), "serve", "--port", str(port), "--workers", "1"]
    request = f"GET /v0/nothing?access_token={SECRET} HTTP/1.0\r\nReferer: /x?access_token={SECRET}\r\n\r\n".encode()
    with subprocess.Popen(serve, env=env, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: answers(port, request, b"HTTP/1."))
            wait_for(lambda: access_log.exists() and "nothing" in access_log.read_text())
        finally:
            server.terminate()

    assert SECRET not in access_log.read_text()
    assert "/v0/nothing?access_token=…" in access_log.read_text()


def test_all_that_the_api_says_is_json_with_the_reason_beside_the_event(config: Config) -> None:
    port, redis = free_port(), f"redis://127.0.0.1:{free_port()}/0"
    env = {"DATABASE_URL": config.database_url, "REDIS_URL": redis, "SECRET_KEY": config.secret_key}
    serve = [Path(sys.executable).with_name("almanac"), "serve", "--port", str(port), "--workers", "1"]
    with subprocess.Popen(serve, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            wait_for(lambda: answers(port, b"GET /v0/me HTTP/1.0\r\n\r\n", b"HTTP/1."))
        finally:
            server.terminate()
        lines = [json.loads(line) for line in server.stdout or ()]

    assert "Booting worker" in "".join(line["event"] for line in lines)
    away = next(line for line in lines if line["event"] == "no rate limits: Redis does not answer")
    assert (away["level"], away["logger"]) == ("warning", "app.rate_limits")
    assert "refused" in away["error"]


def test_the_log_of_the_suite_holds_no_secret(user: Caller, anybody: Caller, config: Config) -> None:
    """Runs last, whatever the order of the others: see conftest.py."""
    made = user.post("/v0/me/tokens", {"name": "t", "scopes": ["account"]}).json
    anybody.get("/v0/me", headers={"Authorization": f"Bearer {made['token']}x"})
    anybody.post("/v0/sessions", {"username": user.user["username"], "password": PASSWORD + "x"})
    logging.getLogger("app").info("the last line")

    text = "\n".join(suite_log.lines)
    found = [secret for secret in suite_log.secrets | {PASSWORD, config.secret_key} if secret in text]

    assert made["token"] in suite_log.secrets
    assert "the last line" in text
    assert [line.replace(found[0], "SECRET") for line in suite_log.lines if found and found[0] in line] == []
