"""The database behind the catalogue: SQLite in the store's folder, or PostgreSQL. What differs between them is here.

On both, write transactions run one after the other and readers never wait.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from whence.records import BackendFailed, Conflict, Damaged, Unmet, WhenceError, require

SCHEMA = "0001"
"""The newest migration. A store that says otherwise is migrated, or refused when it is newer."""

BUSY_S = 30
"""Seconds that SQLite waits for another's lock."""

ROOMY = ("cache_size=-65536", "wal_autocheckpoint=4000")
"""Digests fall all over an index. With 64 MB of pages in memory, and the log copied into the file every 16 MB, not 4,
recording a second of 500 traces costs a quarter less once 60,000 are there."""

KEY = "hashtextextended('whence:' || current_schema() || :of, 0)"
"""Key of an advisory lock: those are a database's, while a store has a schema of its own."""


def connect(url: str) -> sa.Engine:
    """An engine whose write transactions take the database's write lock at once. Raises Unmet for another database."""
    if url.startswith("sqlite:"):
        return _sqlite(sa.make_url(url))
    parsed = address(url)
    require("postgres", "psycopg")
    return _postgresql(parsed.set(drivername="postgresql+psycopg"))


def address(catalogue: str) -> sa.URL:
    """The address of a PostgreSQL database. Raises Unmet for any other text, which is shown without its password."""
    try:
        parsed = sa.make_url(catalogue)
        kind = parsed.get_backend_name()
    except (ValueError, sa.exc.ArgumentError):
        parsed, kind = None, "none"
    if parsed is None or kind != "postgresql":
        shown = re.sub(r"(://[^:@/]*):.*@", r"\1:***@", catalogue)
        why = "is no address of a database" if parsed is None else f"begins with {kind}"
        raise Unmet(
            f"the catalogue {shown!r} {why}",
            "postgresql://HOST/DATABASE or postgresql://USER@HOST/DATABASE",
            "mend catalogue under [store]; its scheme must be postgresql",
        )
    return parsed


def host_of(engine: sa.Engine) -> str | None:
    """The host that the catalogue is reached at over TCP; None: a file, or a socket in a folder of this machine."""
    if engine.dialect.name == "sqlite":
        return None
    url = engine.url
    named = url.host or url.query.get("hostaddr") or url.query.get("host") or os.environ.get("PGHOST") or ""
    return None if not named or str(named).startswith("/") else str(named)


def _sqlite(url: sa.URL) -> sa.Engine:
    path = Path(url.database or "")
    sealed = path.exists() and not os.access(path.parent, os.W_OK)
    if sealed:  # nobody writes here; a log that was left is read where SQLite can, and never passed over
        log = path.with_name(f"{path.name}-wal")
        how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
        url = sa.make_url(f"sqlite:///file:{quote(str(path))}?{how}&uri=true")
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        if sealed:
            return
        connection.execute(f"PRAGMA busy_timeout={BUSY_S * 1000}")
        _write_ahead(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", *ROOMY):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("whence_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """The journal that readers and a writer share. Only the first openers of a new store change it, and SQLite does not
    wait for the others there, whatever its busy timeout."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _postgresql(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, pool_pre_ping=True)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("whence_write"):
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({KEY})"), {"of": ":transaction"})

    return engine


def one_moment(engine: sa.Engine) -> sa.Engine:
    """The same engine for read transactions that see one moment, as SQLite's do anyway."""
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="REPEATABLE READ")


class Version:
    """A number that differs once anything was written by anybody, for those who ask at every request."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine, self._one = engine, threading.Lock()
        self._connection: sa.PoolProxiedConnection | None = None

    def __call__(self) -> int | None:
        """The number, for this process; None where the database has none."""
        if self._engine.dialect.name != "sqlite":
            return None
        with self._one:
            if self._connection is None:
                self._connection = self._engine.raw_connection()
                self._connection.detach()
            cursor = self._connection.cursor()
            cursor.execute("PRAGMA data_version")
            [(version,)] = cursor.fetchall()
            return int(version)

    def close(self) -> None:
        """Give the connection back."""
        with self._one:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


@contextmanager
def translated() -> Iterator[None]:
    """What the database says, as our errors."""
    try:
        yield
    except (UnicodeEncodeError, sa.exc.DataError) as error:
        raise Unmet("a name or id holds a character that the catalogue cannot keep", "text", "leave it out") from error
    except (sa.exc.DatabaseError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
        original = getattr(error, "orig", error)
        said = " ".join(str(original).split())[:200]
        state = getattr(original, "sqlstate", None)
        on_sqlite = isinstance(original, sqlite3.Error | UnicodeDecodeError)
        raise (_of_sqlite(said) if on_sqlite else _of_postgresql(state, said)) from error


_SQLITE_REFUSES = {
    "full": "free some space where it lies",
    "readonly": "see that its folder can be written by this user",
    "unable to open": "see that its folder can be written by this user, and has space",
    "I/O": "see whether the disk is full or fails",
}


def _of_sqlite(said: str) -> WhenceError:
    if "locked" in said:
        return Conflict(f"another process keeps the catalogue locked: {said}\n  do: try again")
    for word, do in _SQLITE_REFUSES.items():
        if word in said:
            return BackendFailed(f"the catalogue cannot be written: {said}\n  do: {do}, then run this again")
    return Damaged(f"the catalogue cannot be read: {said}\n  do: restore the store from its copy")


def _of_postgresql(state: str | None, said: str) -> WhenceError:
    """By SQLSTATE class (PostgreSQL manual, appendix A); no state at all: the connection failed."""
    if state is None or state[:2] in ("08", "57"):
        return BackendFailed(
            f"the connection to the catalogue failed: {said}\n  expected: a server that takes connections at the "
            f"address of the catalogue\n  do: see to PostgreSQL and to the address, then run this again"
        )
    if state[:2] in ("40", "55"):
        return Conflict(f"another process keeps the catalogue locked: {said}\n  do: try again")
    if state[:2] == "XX":
        return Damaged(f"the catalogue cannot be read: {said}\n  do: restore the database from its copy")
    return BackendFailed(f"PostgreSQL refused ({state}): {said}")


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to `SCHEMA`; a no-op where they are there. Raises Conflict for a newer store, Damaged."""
    with translated(), engine.connect() as connection:
        if sa.inspect(connection).has_table("alembic_version"):
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
            if found == SCHEMA:
                return
            if found and found > SCHEMA:
                raise Conflict(f"the store has schema {found}, this whence knows {SCHEMA}\n  do: upgrade whence")
    with _migrating:
        _upgrade(engine)


_migrating = threading.Lock()
"""Alembic keeps what it migrates in module globals."""


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command  # noqa: PLC0415  (0.2 s, needed only here)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with translated(), engine.execution_options(whence_write=True).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, SCHEMA)
    except CommandError as error:
        raise Damaged(f"the catalogue names no schema that this whence knows: {error}") from error


GONE_AFTER = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
"""A holder whose machine falls silent loses the lock after a minute, not after the two hours of most systems."""


def _set(connection: sa.Connection, name: str, value: str) -> None:
    connection.execute(sa.text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})


class SessionLock:
    """The writer's lock of a store in PostgreSQL: an advisory lock of one connection, on which its holder then writes,
    so that a writer whose connection is lost can write nothing more. See `store.lock` for who uses it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self.connection: sa.Connection | None = None

    def take(self, purpose: str) -> bool:
        """Try once."""
        who = f"process {os.getpid()} on {socket.gethostname()} ({purpose})"
        with translated():
            connection = self._engine.connect()
            try:
                with connection.begin():
                    _set(connection, "application_name", who.encode("ascii", "replace")[:63].decode())
                    for name, seconds in GONE_AFTER.items():
                        _set(connection, name, seconds)
                    ask = sa.text(f"SELECT pg_try_advisory_lock({KEY})")
                    taken = bool(connection.execute(ask, {"of": ":writer"}).scalar())
            except BaseException:
                connection.invalidate()
                raise
            if not taken:
                connection.close()
                return False
            self.connection = connection.execution_options(whence_write=True)
            return True

    def release(self) -> None:
        """Give the lock back. Closing its session does so too, whatever state the connection is in, but only once the
        server has got round to it."""
        if self.connection is not None:
            with suppress(sa.exc.SQLAlchemyError):
                if not self.connection.invalidated:
                    self.connection.rollback()
                    self.connection.execute(sa.text(f"SELECT pg_advisory_unlock({KEY})"), {"of": ":writer"})
            self.connection.invalidate()
            self.connection.close()
            self.connection = None

    def holder(self) -> str:
        """What the holder called itself."""
        of_lock = f"locktype = 'advisory' AND granted AND ((classid::bigint << 32) | objid::bigint) = {KEY}"
        query = (
            sa.select(sa.text("application_name"))
            .select_from(sa.text("pg_locks JOIN pg_stat_activity USING (pid)"))
            .where(sa.text(of_lock))
        )
        with translated(), self._engine.connect() as connection:
            return connection.execute(query, {"of": ":writer"}).scalar() or "another process"
