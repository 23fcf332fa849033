"""Keep the broker's logins as the database has them: new tokens get in, revoked and expired ones are cut off.

What devices are to do is kept right with them (app/broker/configs.py): it lies under their tokens.

Nobody has to announce a change. What the broker has been told stands in `broker_logins`, so one query shows the
difference to what is valid now, whatever made it: a token made, revoked or expired, a device archived or restored.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from app.broker.configs import ConfigKeeper, Retained
from app.broker.connection import BrokerError
from app.broker.dynsec import BATCH, Dynsec
from app.sealing import seal, unseal
from ingestor.stopping import Stopping
from ingestor.tokens import hash_token
from sql import AWAY, DictConnection, connect, queries

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0  # 140 ms of the database where there are 20,000 tokens, each with a configuration
_STOCK = "broker.take_stock"
_TAKE_STOCK_EVERY = timedelta(minutes=5)
_RETRY_S = 2.0


class Drift(NamedTuple):
    """How the broker differs from the database."""

    missing: int  # tokens that may log in, and cannot
    surplus: int  # logins that no valid token stands for
    settings: bool  # roles or defaults are not ours
    configs: int  # configurations kept for devices that are wrong, missing, or nobody's

    def __bool__(self) -> bool:
        return any(self)


def keep(
    database_url: str, broker_url: str, mqtt_url: str, secret_key: str, stopping: Stopping, following: Event
) -> None:
    """Follow the database until told to stop, over every outage of it and of the broker.

    `following` is set while both are there.
    """
    while not stopping.is_set():
        dynsec, retained = Dynsec(broker_url), Retained(mqtt_url)  # first: an address that is none is no outage
        try:
            with connect(database_url) as conn, dynsec, retained:
                following.set()
                configs = ConfigKeeper(conn, retained, secret_key)
                _follow(Keeper(conn, dynsec, configs, secret_key), conn, stopping)
        except (*AWAY, BrokerError) as error:
            following.clear()
            log.warning("away", extra={"error": str(error).strip(), "next_try_s": _RETRY_S})
            stopping.wait(_RETRY_S)


def _follow(keeper: "Keeper", conn: DictConnection, stopping: Stopping) -> None:
    is_new = True
    while not stopping.is_set():
        if is_new or queries.job_is_due(conn, name=_STOCK):
            _take_stock(keeper, conn)
            is_new = False
        if not keeper.step():
            stopping.wait(_LOOK_EVERY_S)


def _take_stock(keeper: "Keeper", conn: DictConnection) -> None:
    """Take stock, and note that among the jobs, where an admin looks at it and may ask for it."""
    run: dict[str, Any] = {"started_at": datetime.now(UTC), "result": None, "error": None}
    try:
        drift = keeper.take_stock()
        run["result"] = Jsonb(drift._asdict())
        log.log(logging.WARNING if drift else logging.INFO, "stock taken", extra=drift._asdict())
    except BrokerError as error:
        run["error"] = str(error)
        raise
    finally:
        queries.note_job(conn, name=_STOCK, done_by="broker keeper", period=_TAKE_STOCK_EVERY, **run)


class Keeper:
    """Who has a connection to both, the database and the broker; raises psycopg's errors and BrokerError."""

    def __init__(self, conn: DictConnection, dynsec: Dynsec, configs: ConfigKeeper, secret_key: str) -> None:
        self._conn = conn
        self._dynsec = dynsec
        self._configs = configs
        self._secret_key = secret_key
        self._usernames: dict[bytes, str] = {}  # of the broker's logins, by hash

    def drift(self) -> Drift:
        """Compare, and change nothing."""
        self._usernames = {hash_token(name): name for name in self._dynsec.usernames()}
        wanted = {bytes(row["hash"]) for row in queries.wanted_broker_logins(self._conn)}
        known = self._usernames.keys()
        settings_are_right = self._dynsec.settings_are_right()
        return Drift(len(wanted - known), len(known - wanted), not settings_are_right, self._configs.drift())

    def take_stock(self) -> Drift:
        """Compare, and note what the broker really has: `step` does the rest. Its settings are put right at once."""
        drift = self.drift()
        if drift.settings:
            self._dynsec.put_settings_right()
        hashes = list(self._usernames)
        with self._conn.transaction():
            queries.delete_other_broker_logins(self._conn, hashes=hashes)
            queries.insert_broker_logins(self._conn, hashes=hashes)
        self._configs.take_stock()
        self._seal_again()
        return drift

    def step(self) -> bool:
        """Tell the broker what has changed: all that has ended, and of what is new one batch; whether there was any.

        In batches, so that an end never waits for many beginnings.
        """
        changes = queries.broker_login_changes(self._conn)
        self._end([bytes(row["hash"]) for row in changes if row["sealed"] is None])
        sealed = {bytes(row["hash"]): bytes(row["sealed"]) for row in changes if row["sealed"] is not None}
        made = self._make(self._opened(sealed))
        told = self._configs.step()
        return bool(made) or len(sealed) < len(changes) or told

    def _end(self, hashes: list[bytes]) -> None:
        if any(token_hash not in self._usernames for token_hash in hashes):  # another keeper has been here
            self._usernames |= {hash_token(name): name for name in self._dynsec.usernames()}
        tokens = [self._usernames[token_hash] for token_hash in hashes if token_hash in self._usernames]
        self._dynsec.delete(tokens)
        self._configs.clear(tokens)
        queries.delete_broker_logins(self._conn, hashes=hashes)
        for token_hash in hashes:
            self._usernames.pop(token_hash, None)
        if hashes:
            log.info("logins ended", extra={"logins": len(hashes)})

    def _make(self, tokens: Mapping[bytes, str]) -> Mapping[bytes, str]:
        self._dynsec.create(list(tokens.values()))
        queries.insert_broker_logins(self._conn, hashes=list(tokens))
        self._usernames |= tokens
        if tokens:
            log.info("logins made", extra={"logins": len(tokens)})
        return tokens

    def _opened(self, sealed: Mapping[bytes, bytes]) -> dict[bytes, str]:
        """Return up to a batch of tokens; what was sealed with a SECRET_KEY of before is left out."""
        tokens: dict[bytes, str] = {}
        for token_hash, box in sealed.items():
            token = unseal(box, token_hash, self._secret_key)
            if token is not None:
                tokens[token_hash] = token
            if len(tokens) == BATCH:
                break
        return tokens

    def _seal_again(self) -> None:
        """After a change of SECRET_KEY the broker still knows the tokens: seal them with the new one."""
        again = {
            bytes(row["hash"]): seal(self._usernames[bytes(row["hash"])], self._secret_key)
            for row in queries.wanted_broker_logins(self._conn)
            if bytes(row["hash"]) in self._usernames
            and unseal(bytes(row["sealed"]), bytes(row["hash"]), self._secret_key) is None
        }
        if again:
            queries.update_sealed_tokens(self._conn, hashes=list(again), sealed=list(again.values()))
            log.warning("SECRET_KEY has changed: tokens sealed again", extra={"tokens": len(again)})


def open_all(conn: DictConnection, secret_key: str) -> tuple[list[str], int]:
    """Return every token that may log in, and how many more cannot be opened with this SECRET_KEY."""
    rows = queries.wanted_broker_logins(conn)
    opened: Iterable[str | None] = (unseal(bytes(row["sealed"]), bytes(row["hash"]), secret_key) for row in rows)
    tokens = [token for token in opened if token is not None]
    return tokens, len(rows) - len(tokens)
