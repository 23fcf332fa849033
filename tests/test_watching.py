"""What operators see: alerts, boards and the role that Grafana reads with."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from caller import Caller
from composed import ALERTS, BOARDS, DOCKER, RULES, targets

from sql import DictConnection

PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is missing: apt-get install prometheus")


def test_each_alert_has_a_page_that_says_what_to_do() -> None:
    for rule in RULES:
        page = DOCKER.parent / rule["annotations"]["runbook"]
        assert page.name == f"{rule['alert']}.md"
        text = page.read_text()
        assert text.startswith(f"# {rule['alert']}\n")
        assert [text.count(part) for part in ("**Meaning.**", "**Impact.**", "**Look at**", "**Do**")] == [1, 1, 1, 1]
        for link in re.findall(r"\]\((\w+\.md)\)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    assert {page.stem for page in (DOCKER / "runbooks").iterdir()} == {rule["alert"] for rule in RULES}


@needs_promtool
def test_alerts_fire_at_what_is_wrong_and_at_nothing_else(tmp_path: Path) -> None:
    every = [{"labels": f'{{alertname="{rule["alert"]}"}}', "value": 1} for rule in RULES]
    text = (Path(__file__).parent / "alerts.yml").read_text()
    cases = tmp_path / "cases.yml"
    cases.write_text(text.replace("EVERY_ALERT", json.dumps(every)).replace("[ALERTS]", json.dumps([str(ALERTS)])))

    tested = subprocess.run([str(PROMTOOL), "test", "rules", cases], capture_output=True, text=True, timeout=60)

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.fixture
def reader(database_url: str, conn: DictConnection) -> Iterator[str]:
    """The role of docker/grafana/role.sql under a name of its own, as that of other databases may be there."""
    name = f"grafana_{conn.info.backend_pid}"
    text = (DOCKER / "grafana" / "role.sql").read_text().replace(":'password'", "'a-password-of-the-tests'")
    conn.execute(re.sub(r"\bgrafana\b", name, text))  # type: ignore[call-overload]
    yield name
    conn.execute(f"DROP SCHEMA {name} CASCADE")
    conn.execute(f"DROP ROLE {name}")


@pytest.fixture
def ask(conn: DictConnection, reader: str) -> Callable[[str], list[dict[str, Any]]]:
    """Asks as that role."""

    def ask(statement: str) -> list[dict[str, Any]]:
        with conn.transaction(force_rollback=True):
            conn.execute(f"SET LOCAL ROLE {reader}")
            return conn.execute(statement.replace("grafana.", f"{reader}.")).fetchall()  # type: ignore[call-overload]

    return ask


@pytest.fixture
def devices(user: Caller, conn: DictConnection) -> dict[str, int]:
    """A public, a private and an archived device with a reading each that the aggregates know."""
    made = {
        "public": user.register_device(name="Seen by all")["id"],
        "private": user.register_device(name="Seen by none", is_private=True)["id"],
        "archived": user.register_device(name="Gone")["id"],
    }
    reading = {"data": [{"recorded_at": "2025-01-15T08:30:00Z", "sensors": [{"id": 55, "value": 21.5}]}]}
    for device_id in made.values():
        assert user.post(f"/v0/devices/{device_id}/readings", reading).status_code < 300
    user.delete(f"/v0/devices/{made['archived']}")
    conn.execute("CALL refresh_rollups_between('2025-01-15', '2025-01-16')")
    return made


def test_the_data_board_shows_public_devices_alone(
    ask: Callable[[str], list[dict[str, Any]]], devices: dict[str, int]
) -> None:
    seen = {row["id"] for row in ask("SELECT id FROM grafana.devices()")}
    assert [name for name, device_id in devices.items() if device_id in seen] == ["public"]

    def of(device_id: int) -> tuple[list[float], list[int]]:
        span = "'2025-01-15', '2025-01-16'"
        readings = ask(f"SELECT mean FROM grafana.readings({device_id}, 55, {span})")
        sensors = ask(f"SELECT id FROM grafana.sensors({device_id})")
        return [row["mean"] for row in readings], [row["id"] for row in sensors]

    assert {name: of(device_id) for name, device_id in devices.items()} == {
        "public": ([21.5], [55]),
        "private": ([], []),
        "archived": ([], []),
    }


def test_each_query_of_the_data_board_runs_as_that_role(
    ask: Callable[[str], list[dict[str, Any]]], devices: dict[str, int]
) -> None:
    variables = [variable["query"] for variable in BOARDS["data"]["templating"]["list"]]
    queries = [*variables, *(target["rawSql"] for target in targets("data"))]
    given = {
        "${device:raw}": devices["public"],
        "$device": devices["public"],
        "$sensor": 55,
        "$__timeFrom()": "'2025-01-15T00:00:00Z'",
        "$__timeTo()": "'2025-01-16T00:00:00Z'",
    }
    for query in queries:
        for name, value in given.items():
            query = query.replace(name, str(value))
        assert ask(query), query


def test_that_role_reads_no_table_and_calls_no_function_of_ours_that_could(
    ask: Callable[[str], list[dict[str, Any]]], conn: DictConnection, reader: str, devices: dict[str, int]
) -> None:
    readable = conn.execute(
        """
        SELECT c.oid::regclass::text AS name
        FROM pg_class AS c
        WHERE
            c.relkind IN ('r', 'v', 'm', 'p', 'f')
            AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            AND has_schema_privilege(%(role)s, c.relnamespace, 'USAGE')
            AND has_table_privilege(%(role)s, c.oid, 'SELECT')
            -- TimescaleDB's own tell names and sizes of tables, and nothing of what is in them.
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
        """,
        {"role": reader},
    ).fetchall()
    with_our_rights = conn.execute(
        """
        SELECT p.oid::regprocedure::text AS name
        FROM pg_proc AS p
        WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
        """
    ).fetchall()

    assert (readable, with_our_rights) == ([], [])
    for table in ("users", "devices", "datapoints", "datapoints_1d", "device_tokens"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(f"SELECT * FROM {table}")
