"""The real services the tests run against: started once, on free ports, in temporary directories."""

import os
import secrets
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import suite_log
from argon2 import PasswordHasher
from caller import Caller, set_role, sign_up
from flask import Flask
from hypothesis import settings
from mail_server import Mailbox
from rq import SimpleWorker

from app import passwords
from app.config import Config
from app.factory import create_app
from app.jobs.queue import open_queue
from app.seed import seed
from scripts import services, supervisor
from scripts.mosquitto import Broker
from scripts.supervisor import Child, Service
from sql import DictConnection, connect
from sql.migrate import migrate

NO_LIMITS = {"rate_limit_anonymous": 0, "rate_limit_token": 0, "rate_limit_sign_in": 0}

ALMANAC = Path(sys.executable).with_name("almanac")

pytest_plugins = ["alerting", "browsing", "receiver", "oauth_client"]

THE_LAST = "test_the_log_of_the_suite_holds_no_secret"


settings.register_profile("almanac", deadline=None)  # a machine may be slow: no test asserts a time
settings.load_profile("almanac")


def pytest_configure() -> None:
    suite_log.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.name == THE_LAST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the programs around it said last."""
    report = yield
    if report.failed:
        report.sections.append(("What was logged last", "\n".join(suite_log.lines[-40:])))
    return report


running = partial(supervisor.running, show=suite_log.lines.append)


@pytest.fixture(scope="session", autouse=True)
def real_hasher() -> Iterator[PasswordHasher]:
    """What production hashes passwords with; the tests take the cheapest, as most of them sign somebody up."""
    real = passwords._HASHER
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield real
    passwords._HASHER = real


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A database of its own on an existing server."""
    name = f"almanac_test_{secrets.token_hex(4)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def empty_database(directory: Path) -> Iterator[str]:
    """The embedded TimescaleDB, or a new database on the server of TEST_DATABASE_URL."""
    if server_url := os.environ.get("TEST_DATABASE_URL"):
        with fresh_database(server_url) as url:
            yield url
        return
    port = services.free_port()
    with running(services.database(directory, port)):
        yield services.database_url(port)


def prepare(database_url: str) -> None:
    """Make Almanac's tables and catalogue."""
    migrate(database_url)
    with psycopg.connect(database_url, prepare_threshold=None) as connection:
        seed(connection)


@pytest.fixture(scope="session")
def empty_database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="session")
def database_url(empty_database_url: str) -> str:
    """A database with Almanac's tables and catalogue in it."""
    prepare(empty_database_url)
    return empty_database_url


class RunningBroker(Child):
    """A broker that tests may `stop`, `kill` and `start` again; its addresses and its queues stay."""

    def __init__(self, directory: Path, certificates: Path | None = None) -> None:
        broker = Broker(directory, *(services.free_port() for _ in range(3)), certificates)
        super().__init__(broker.service(), suite_log.lines.append)
        self.kit_url = broker.kit_url
        self.device_url = broker.device_url
        self.platform_url = broker.platform_url
        self.admin_url = broker.admin_url
        self.logins_file = directory / "logins.json"

    @property
    def platform_login(self) -> tuple[str, str]:
        """The user name and the password of our own programs."""
        url = urlsplit(self.platform_url)
        return url.username or "", url.password or ""


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    """A Mosquitto as ./scripts/dev starts it."""
    broker = RunningBroker(tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        broker.wait_until_ready()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = services.free_port()
    with running(services.redis(tmp_path_factory.mktemp("redis"), port)):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def config(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """What the API of the tests and their workers are told."""
    storage_url = tmp_path_factory.mktemp("storage").as_uri()
    return Config(database_url, redis_url, secrets.token_urlsafe(32), pool_size=4, storage_url=storage_url, **NO_LIMITS)


@pytest.fixture(scope="session")
def app(config: Config) -> Iterator[Flask]:
    """The API, in this process."""
    app = create_app(config)
    yield app
    app.extensions["streams"].close()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server that is up."""
    mailbox = Mailbox()
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()


@pytest.fixture
def worker_env(config: Config, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a worker, set; its mail goes to `mailbox`."""
    env = {
        "DATABASE_URL": config.database_url,
        "REDIS_URL": config.redis_url,
        "SECRET_KEY": config.secret_key,
        "PUBLIC_URL": config.public_url,
        "STORAGE_URL": config.storage_url,
        "MAIL_URL": mailbox.url,
        "MAIL_FROM": "Almanac <almanac@example.org>",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


@pytest.fixture
def work(worker_env: dict[str, str]) -> Iterator[Callable[[], None]]:
    """Does all the jobs that are due, as a worker would, and those that they enqueue; starts with an empty queue."""
    queue = open_queue(worker_env["REDIS_URL"])
    queue.connection.flushdb()
    worker = SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer)
    yield lambda: worker.work(burst=True)
    queue.connection.flushdb()


@pytest.fixture
def anybody(app: Flask) -> Caller:
    """Who has not signed in."""
    return Caller(app)


@pytest.fixture
def new_user(app: Flask) -> Callable[..., Caller]:
    """Signs somebody up who has not been there yet; SignUp's fields may be given."""
    return lambda **fields: sign_up(app, **fields)


@pytest.fixture
def user(new_user: Callable[..., Caller]) -> Caller:
    return new_user()


@pytest.fixture
def admin(new_user: Callable[..., Caller], conn: DictConnection) -> Caller:
    caller = new_user()
    set_role(conn, caller.user["id"], "admin")
    return caller


@pytest.fixture
def conn(database_url: str) -> Iterator[DictConnection]:
    """A connection as the platform's own; what it writes stays."""
    with connect(database_url) as conn:
        yield conn


class RunningIngestor(Child):
    """The daemon, which tests may `stop`, `kill` and `start` again; its name at the broker stays."""

    def __init__(self, database_url: str, mqtt_url: str, **env: str) -> None:
        env = {
            "DATABASE_URL": database_url,
            "MQTT_URL": mqtt_url,
            # one for all tests of a broker: a member of the subscription that does not come back keeps its share
            "MQTT_CLIENT_ID": "ingestor-of-the-tests",
            "BATCH_SECONDS": "0.05",
            "LOG_LEVEL": "DEBUG",
            **env,
        }
        daemon = Service("ingestor", [sys.executable, "-m", "ingestor"], env, says='"event":"subscribed"')
        super().__init__(daemon, suite_log.lines.append)


@pytest.fixture
def ingestor(database_url: str, broker: RunningBroker) -> Iterator[RunningIngestor]:
    """An ingestor that is subscribed."""
    ingestor = RunningIngestor(database_url, broker.platform_url)
    ingestor.start()
    try:
        ingestor.wait_until_ready()
        yield ingestor
    finally:
        ingestor.stop()


def keeper_env(config: Config, broker: RunningBroker) -> dict[str, str]:
    return {
        "DATABASE_URL": config.database_url,
        "MQTT_ADMIN_URL": broker.admin_url,
        "MQTT_URL": broker.platform_url,
        "SECRET_KEY": config.secret_key,
    }


class RunningKeeper(Child):
    """`almanac broker keep`, which tests may `stop` and `start` again."""

    def __init__(self, config: Config, broker: RunningBroker, **env: str) -> None:
        env = {**keeper_env(config, broker), **env}
        service = Service("keeper", [ALMANAC, "broker", "keep"], env, says='"event":"stock taken"')
        super().__init__(service, suite_log.lines.append)


class RunningForwarder(Child):
    """`almanac forward`, which tests may `stop`, `kill` and `start` again."""

    def __init__(self, config: Config, broker: RunningBroker) -> None:
        env = {**keeper_env(config, broker), "REDIS_URL": config.redis_url}
        super().__init__(
            Service("forward", [ALMANAC, "forward"], env, says='"event":"forwarding"'), suite_log.lines.append
        )


@pytest.fixture(scope="module")
def keeper(config: Config, broker: RunningBroker) -> Iterator[RunningKeeper]:
    keeper = RunningKeeper(config, broker)
    keeper.start()
    try:
        keeper.wait_until_ready()
        yield keeper
    finally:
        keeper.stop()
