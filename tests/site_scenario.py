"""What may happen at several sites, drawn at random: writes under clocks that differ, cut links, killed servers."""

import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from sites import START, Site, new_device, orphans, send, settle

from ingestor.tokens import hash_token
from sql import queries

SENSORS = (55, 56, 10, 14)
REFUSED = (  # what a site tells a client: somebody has the name, or what it speaks of has just gone, or come
    psycopg.errors.UniqueViolation,
    psycopg.errors.ForeignKeyViolation,
    psycopg.errors.DeadlockDetected,
)


class Scenario:
    """Random writes at every site, under clocks that differ by minutes, cut links and killed servers, and what must
    come of them: a model keeps what each site has confirmed."""

    def __init__(self, sites: list[Site], chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sites, self.chance = sites, chance
        self.written: dict[tuple[int, int, int], list[tuple[int, float]]] = defaultdict(list)  # (hlc, value) by key
        self.accounts: dict[int, tuple[str, str]] = {}
        self.revoked: set[int] = set()
        self.sent: list[tuple[int, dict[tuple[int, int], float]]] = []
        self.hlcs: list[int] = []
        draw = queries.next_hlc
        monkeypatch.setattr(queries, "next_hlc", lambda conn: self.hlcs.append(draw(conn)) or self.hlcs[-1])

    def run(self, steps: int) -> None:
        for site, skew in zip(self.sites, (0, 180, -240), strict=True):
            site.skew_clock(skew)
        kills = {self.chance.randrange(steps) for _ in range(2)}
        often: dict[Callable[[Site], None], int] = {
            self.send_readings: 40,
            self.send_again: 8,
            self.register: 6,
            self.describe: 12,
            self.sign_up: 10,
            self.delete_account: 3,
            self.make_token: 6,
            self.revoke_token: 4,
            self.tag: 10,
            self.make_tag: 3,
            self.delete_tag: 2,
            self.break_or_mend: 8,
        }
        for step in range(steps):
            site = self.chance.choice(self.sites)
            if step in kills:
                site.kill()
            with suppress(*REFUSED):
                self.chance.choices(list(often), list(often.values()))[0](site)
        for site in self.sites:
            site.let_in()
        settle(self.sites)
        self.check()

    def check(self) -> None:
        for site in self.sites:
            assert orphans(site.conn) == []
            rows = site.conn.execute("SELECT device_id, sensor_id, time, raw FROM datapoints").fetchall()
            stored = {
                (row["device_id"], row["sensor_id"], (row["time"] - START) // timedelta(minutes=1)): row["raw"]
                for row in rows
            }
            expected = {key: max(writes)[1] for key, writes in self.written.items()}
            assert {key: stored.get(key) for key in expected} == expected
            names = {r["id"]: r["username"] for r in site.conn.execute("SELECT id, username FROM users").fetchall()}
            assert self.accounts.keys() <= names.keys()
            assert all(names[i] in (name, f"{name}-{i}") for i, (name, _) in self.accounts.items())
            tokens = site.conn.execute("SELECT id FROM device_tokens WHERE revoked_at IS NULL").fetchall()
            assert not self.revoked & {row["id"] for row in tokens}

    def device(self, site: Site) -> int:
        ids = [int(i) for i in queries.device_ids(site.conn)]
        return self.chance.choice(ids)

    def send_readings(self, site: Site) -> None:
        device_id = self.device(site)
        readings = {
            (self.chance.choice(SENSORS), self.chance.randrange(60)): round(self.chance.uniform(0, 100), 2)
            for _ in range(self.chance.randrange(1, 12))
        }
        self.sent.append((device_id, readings))
        self.note(site, device_id, readings)

    def send_again(self, site: Site) -> None:
        if self.sent:
            device_id, readings = self.chance.choice(self.sent)
            if queries.device_readable(site.conn, id=device_id) is not None:
                self.note(site, device_id, readings)

    def note(self, site: Site, device_id: int, readings: dict[tuple[int, int], float]) -> None:
        # as they come out of the payload: a minute after the other
        in_order = {
            key: readings[key]
            for minute in dict.fromkeys(m for _, m in readings)
            for key in readings
            if key[1] == minute
        }
        stored = send(site, device_id, readings)
        for ((sensor_id, minute), value), changed in zip(in_order.items(), stored, strict=True):
            if changed:
                self.written[device_id, sensor_id, minute].append((self.hlcs[-1], value))

    def register(self, site: Site) -> None:
        owner = site.conn.execute("SELECT id FROM users ORDER BY id OFFSET %s", [self.chance.randrange(3)]).fetchone()
        new_device(site, owner["id"] if owner else 1)

    def describe(self, site: Site) -> None:
        site.conn.execute(
            "UPDATE devices SET name = %s, updated_at = now() WHERE id = %s",
            [f"name {self.chance.random()}", self.device(site)],
        )

    def sign_up(self, site: Site) -> None:
        name = f"user{self.chance.randrange(12)}"
        email = f"{self.chance.randrange(12)}@example.org"
        about = {"role": "citizen", "city": None, "country_code": None, "url": None}
        made = queries.insert_user(site.conn, username=name, email=email, password_hash="", **about)
        self.accounts[made] = (name, email)

    def delete_account(self, site: Site) -> None:
        """Of somebody who has no device here; at another site they may have got one."""
        row = site.conn.execute(
            "SELECT id FROM users AS u WHERE username <> 'owner'"
            " AND NOT EXISTS (SELECT FROM devices WHERE owner_id = u.id) ORDER BY id LIMIT 1"
        ).fetchone()
        if row:
            site.conn.execute("DELETE FROM users WHERE id = %s", [row["id"]])
            self.accounts.pop(row["id"], None)

    def make_token(self, site: Site) -> None:
        token = f"{self.chance.randrange(1 << 40):x}"
        queries.insert_device_token(
            site.conn, device_id=self.device(site), hash=hash_token(token), sealed=b"sealed", expires_at=None
        )

    def revoke_token(self, site: Site) -> None:
        row = site.conn.execute(
            "UPDATE device_tokens SET revoked_at = now(), sealed = NULL WHERE id ="
            " (SELECT min(id) FROM device_tokens WHERE revoked_at IS NULL) RETURNING id"
        ).fetchone()
        if row:
            self.revoked.add(row["id"])

    def tag(self, site: Site) -> None:
        tags = [row["id"] for row in site.conn.execute("SELECT id FROM tags ORDER BY id").fetchall()]
        chosen = self.chance.sample(tags, min(len(tags), self.chance.randrange(4)))
        queries.set_tags_of_device(site.conn, device_id=self.device(site), tag_ids=chosen)

    def make_tag(self, site: Site) -> None:
        queries.insert_tag(site.conn, name=f"tag {self.chance.randrange(6)}", description=None)

    def delete_tag(self, site: Site) -> None:
        site.conn.execute("DELETE FROM tags WHERE id = (SELECT max(id) FROM tags)")

    def break_or_mend(self, site: Site) -> None:
        if site.proxy.closed.is_set():
            site.let_in()
        else:
            site.cut_off()
