"""The seeded catalogue: it holds what kits send, and running it again spoils nothing."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.seed import seed

# What the firmware sends by itself, by board (https://github.com/fablabbcn/smartcitizen-kit-2x, lib/Sensors/Sensors.h).
KIT_2 = {10, 221, 220, 14, 55, 56, 53}
KIT_2_1 = KIT_2 | {58, 113, 112, 89, 87, 88} | set(range(165, 171))
KIT_2_2 = KIT_2 | {227} | set(range(193, 207)) | {214, 215, 216}
KIT_2_3 = KIT_2_2 - {227} | {58}
AUXILIARY = (
    {79, 80, 224, 225, 158, 160, 161, 210, 211, 212}
    | {channel + offset for channel in (133, 138, 143, 148) for offset in range(4)}
    | set(range(125, 132))
)
WATER = {42, 43, 45, 46, 48, 49, 51, 122, 123, 164}
TABLES = ("measurements", "sensors", "kits", "kit_components")


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection whose changes are undone."""
    with psycopg.connect(database_url, prepare_threshold=None) as conn:
        yield conn
        conn.rollback()


def column(conn: psycopg.Connection, query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query.encode())]


def catalogue(conn: psycopg.Connection) -> dict[str, list[Any]]:
    return {table: column(conn, f"SELECT {table}::text FROM {table} ORDER BY 1") for table in TABLES}


def test_seeding_again_changes_nothing(conn: psycopg.Connection) -> None:
    before = catalogue(conn)

    seed(conn)

    assert before == catalogue(conn)


def test_an_operators_edit_survives_another_seeding(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE sensors SET name = 'Roof thermometer' WHERE id = 55")

    seed(conn)

    assert column(conn, "SELECT name FROM sensors WHERE id = 55") == ["Roof thermometer"]


def test_a_component_taken_out_of_a_kit_stays_out(conn: psycopg.Connection) -> None:
    conn.execute("DELETE FROM kit_components WHERE kit_id = 26 AND sensor_id = 113")

    seed(conn)

    assert column(conn, "SELECT key FROM kit_components WHERE kit_id = 26 AND sensor_id = 113") == []


def test_every_sensor_of_every_kit_and_board_is_known(conn: psycopg.Connection) -> None:
    sent = KIT_2_1 | KIT_2_2 | KIT_2_3 | AUXILIARY | WATER

    assert set() == sent - set(column(conn, "SELECT id FROM sensors"))


@pytest.mark.parametrize(("slug", "sent"), [("sck:2,1", KIT_2_1), ("sck:2,3", KIT_2_3)])
def test_a_blueprint_names_the_sensors_its_kit_sends(conn: psycopg.Connection, slug: str, sent: set[int]) -> None:
    query = f"SELECT sensor_id FROM kit_components JOIN kits ON kits.id = kit_id WHERE slug = '{slug}'"

    assert sent == set(column(conn, query))


def test_a_blueprints_key_is_the_sensors_default_key_where_it_has_one(conn: psycopg.Connection) -> None:
    query = """
    SELECT kit_id, sensor_id, key, default_key
    FROM kit_components JOIN sensors ON sensors.id = sensor_id
    WHERE kit_id < 10000 AND key <> default_key
    """

    assert conn.execute(query).fetchall() == []


@pytest.mark.parametrize("table", ["measurements", "sensors", "kits"])
def test_seeded_ids_stay_below_those_the_database_gives(conn: psycopg.Connection, table: str) -> None:
    seeded = column(conn, f"SELECT id FROM {table} WHERE created_at = (SELECT min(created_at) FROM {table})")

    assert max(seeded) < 10_000
