"""Every named query of sql/ is one that the schema knows; the planner is asked, nothing runs."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

import sql
from sql import DictConnection, queries

_NAMES = sorted(name for name in queries.available_queries if not name.endswith("_cursor"))
_UNEXPLAINABLE = ("CALL", "COPY", "SET", "LOCK", "NOTIFY", "REFRESH", "VACUUM")


def statement(name: str) -> str:
    """Return a query's text from its first word on."""
    lines = getattr(queries, name).sql.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--")).strip()


def parameters(name: str) -> dict[str, Any]:
    """Return every parameter that a query declares, each as None."""
    signature = getattr(queries, name).__signature__
    return {name: None for name, given in signature.parameters.items() if given.kind is given.KEYWORD_ONLY}


def test_the_names_are_found() -> None:
    assert {"history_state", "store_datapoints", "devices_by_ids"} <= set(_NAMES)
    assert set(parameters("history_state")) == {"device_id", "first_day", "last_day", "as_of", "sensor_ids", "keys"}


def test_a_name_stands_for_one_query() -> None:
    """Of two with one name the later file's would be taken, without a word."""
    texts = [path.read_text() for path in Path(sql.__file__).parent.glob("*.sql")]
    names = [name for text in texts for name in re.findall(r"^-- name: (\w+)", text, re.MULTILINE)]

    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("name", _NAMES)
def test_a_query_fits_the_schema(conn: DictConnection, name: str) -> None:
    text = statement(name)
    if text.upper().startswith(_UNEXPLAINABLE):
        pytest.skip("PostgreSQL explains no such statement")

    with conn.transaction(force_rollback=True):
        try:
            plan = conn.execute(f"EXPLAIN {text}", parameters(name)).fetchall()
        except psycopg.Error as error:
            pytest.fail(f"{name}: {error}")

    assert plan


def test_every_query_that_the_code_asks_for_exists() -> None:
    """No type checker sees these names."""
    root = Path(__file__).parents[1]
    files = [
        path for folder in ("app", "ingestor", "sql", "tests", "scripts") for path in (root / folder).rglob("*.py")
    ]
    asked = {name for path in files for name in re.findall(r"\bqueries\.([a-z]\w+)", path.read_text())}

    assert asked - set(queries.available_queries) <= {"available_queries"}
