"""Transactions of a catalogue: whole or not at all, on one connection a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from whence.records import Unmet
from whence.store.database import Version, one_moment, translated
from whence.store.head import HeadFile


class Transactions:
    """Reads and writes of one catalogue, all in this process and in whole transactions."""

    def __init__(self, engine: sa.Engine, second: HeadFile | None = None) -> None:
        """`second` keeps the chain's head once more, outside the database."""
        self._engine, self._second = engine, second
        self._writing = threading.local()
        self._process: int | None = os.getpid()
        self._version = Version(engine)

    def close(self) -> None:
        """Give back every connection. A second call does nothing."""
        mine, self._process = self._process == os.getpid(), None
        if mine:
            self._version.close()
        self._engine.dispose(close=mine)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._process is None

    def _usable(self) -> None:
        """Raises Unmet once it was closed, and in a forked process, whose connections and locks are its parent's."""
        if self._process != os.getpid():
            found = "was closed" if self.closed else f"was opened by process {self._process}, this is a fork of it"
            do = "open it again; start processes with spawn, not with fork"
            raise Unmet(f"this store {found}", "a store that this process opened", do)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Writes inside are kept together or not at all; nested uses join the outer one."""
        self._usable()
        outer: sa.Connection | None = getattr(self._writing, "connection", None)
        if outer is not None:
            yield outer
            return
        self._writing.head = None
        with translated(), self._write() as connection:
            self._writing.connection = connection
            try:
                yield connection
            finally:
                self._writing.connection = None
        if self._second and self._writing.head:
            self._second.keep(*self._writing.head)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """A write transaction, on the connection that holds the writer's lock where this thread holds it."""
        held: sa.Connection | None = getattr(self._writing, "held", None)
        if held is None:
            with self._engine.execution_options(whence_write=True).begin() as connection:
                yield connection
        else:
            with held.begin():
                yield held

    @contextmanager
    def writing_on(self, connection: sa.Connection | None) -> Iterator[None]:
        """This thread's write transactions inside use this connection."""
        before = getattr(self._writing, "held", None)
        self._writing.held = connection
        try:
            yield
        finally:
            self._writing.held = before

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Reads inside see one moment of the record, whatever others append meanwhile."""
        self._usable()
        with translated(), one_moment(self._engine).connect() as connection, connection.begin():
            self._writing.connection = connection
            try:
                yield
            finally:
                self._writing.connection = None

    def _rows(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        self._usable()
        outer: sa.Connection | None = getattr(self._writing, "connection", None)
        with translated():
            if outer is not None:
                return outer.execute(statement).all()
            with self._engine.connect() as connection:
                return connection.execute(statement).all()

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
            connection.execute(insert(table).on_conflict_do_nothing(), rows)

    def version(self) -> int | None:
        """A number that differs from an earlier one once anything was written since, by whomever; costs 5 µs. None
        where the database has none: ask for `head`."""
        self._usable()
        with translated():
            return self._version()

    def integrity(self) -> str | None:
        """The database's own check of its pages: None, or what it says."""
        if self._engine.dialect.name != "sqlite":
            return None
        with translated(), self._engine.connect() as connection:
            said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return None if said == ["ok"] else "; ".join(str(s) for s in said[:3])
