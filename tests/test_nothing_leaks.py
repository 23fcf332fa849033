"""Private means private: marks of what is somebody's own, looked for in all that every GET operation tells others."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from who_may_what import read_table
from world import PATHS, QUERIES, World

from sql import DictConnection, connect

OPERATIONS = sorted({row.operation for row in read_table() if row.operation.startswith("GET ")})
# A mailed link tells whoever has it whose it is.
LINKS = {"GET /v0/password_resets/{token}"}


class Marked(World):
    """Somebody with two devices: a private one, marked all over, and a public one whose exact place is their own."""

    def __init__(self, app: Flask, conn: DictConnection) -> None:
        super().__init__(app, conn, "private")
        self.word = f"hidden{secrets.token_hex(6)}"
        self.public_id = self.new_device("public")
        self.marks = {self.word, self._email()}
        for device_id in (self.device_id, self.public_id):
            self.marks |= self._mark(device_id)
        self.device_id = self._mark_id(self.device_id)
        words = [self.word] * 3
        self._id("UPDATE devices SET name = %s, description = %s, city = %s WHERE id = %s", *words, self.device_id)
        self.marks.add(str(self.device_id))
        for device_id in (self.device_id, self.public_id):
            conn.execute("INSERT INTO components (device_id, sensor_id, key) VALUES (%s, 55, 't')", [device_id])
        value = 1000 + secrets.randbelow(10**9) / 10**6
        conn.execute(
            "UPDATE components SET latest_time = now(), latest_raw = %s, latest_value = %s WHERE device_id = %s",
            [value, value, self.device_id],
        )
        self.marks.add(str(value))
        self.experiment_id = self._id("INSERT INTO experiments (owner_id, name) VALUES (%s, 'x')", self.owner_id)
        conn.execute("INSERT INTO devices_experiments VALUES (%s, %s)", [self.experiment_id, self.device_id])

    def _id(self, statement: str, *values: object) -> int:
        row = self.conn.execute(f"{statement} RETURNING id".encode(), values).fetchone()
        assert row is not None
        return int(row["id"])

    def _email(self) -> str:
        row = self.conn.execute("SELECT email FROM users WHERE id = %s", [self.owner_id]).fetchone()
        assert row is not None
        return str(row["email"])

    def _mark(self, device_id: int) -> set[str]:
        """Mark what only its owner knows of a device."""
        place = [10 + secrets.randbelow(10**9) / 10**8 for _ in range(2)]
        mac = secrets.token_bytes(6).hex(sep=":")
        self._id(
            """
            UPDATE devices
            SET exact_latitude = %s, exact_longitude = %s, precise_location = is_private, mac_address = %s,
                hardware_info = jsonb_build_object('id', %s::text)
            WHERE id = %s
            """,
            *place,
            mac,
            self.word,
            device_id,
        )
        return {mac, *map(str, place)}

    def _mark_id(self, device_id: int) -> int:
        """Give a device an id that stands for nothing else."""
        marked = 1_500_000_000 + secrets.randbelow(500_000_000)
        return self._id("UPDATE devices SET id = %s WHERE id = %s", marked, device_id)

    def component_id(self, device_id: int) -> int:
        return self._id("UPDATE components SET key = key WHERE device_id = %s", device_id)


@pytest.fixture(scope="module")
def marked(app: Flask, database_url: str) -> Iterator[Marked]:
    with connect(database_url) as conn:
        yield Marked(app, conn)


@pytest.fixture(scope="module")
def ask(app: Flask, marked: Marked) -> Callable[[str, str], str]:
    """Asks an operation as somebody, about each of the devices and what hangs on it; returns all that is told."""
    tokens = {caller: marked.bearer(caller, None) for caller in ("nobody", "other", "researcher", "owner")}

    def ask(operation: str, caller: str) -> str:
        path = operation.split()[1]
        headers = {"Authorization": f"Bearer {tokens[caller]}"} if tokens[caller] else {}
        query = {"per_page": 1000, **QUERIES.get(operation, {}), "q": marked.word if "/search" in path else None}
        told = ""
        for device_id in (marked.device_id, marked.public_id):
            own = {
                "device_id": device_id,
                "experiment_id": marked.experiment_id,
                "component_id": marked.component_id(device_id),
            }
            names = [name for name in PATHS if f"{{{name}}}" in path]
            values = {name: own[name] if name in own else PATHS[name](marked) for name in names}
            with app.test_client().get(path.format(**values), query_string=query, headers=headers) as answer:
                # what a stream tells later is for tests/test_stream_access.py
                text = next(answer.iter_encoded()) if answer.mimetype == "text/event-stream" else answer.text
            told += f"{answer.headers}{text!r}"
        return told

    return ask


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in LINKS])
@pytest.mark.parametrize("caller", ["nobody", "other", "researcher"])
def test_nothing_of_ones_own_is_told_to_others(
    marked: Marked, ask: Callable[[str, str], str], operation: str, caller: str
) -> None:
    told = ask(operation, caller)

    known = {str(marked.device_id)} if "{device_id}" in operation or "{component_id}" in operation else set()
    assert {mark for mark in marked.marks - known if mark in told} == set()


def test_the_owner_is_told_all_of_it(marked: Marked, ask: Callable[[str, str], str]) -> None:
    told = "".join(ask(operation, "owner") for operation in OPERATIONS)

    assert {mark for mark in marked.marks if mark not in told} == set()
