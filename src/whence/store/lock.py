"""One writer at a time. The lock is dropped by the kernel, or by the database, when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from whence.records import Conflict, writing


class Lock(Protocol):
    """What can be held by one process at a time."""

    connection: Any
    """the database connection on which the holder must write, or None for any"""

    def take(self, purpose: str) -> bool:
        """Try once."""

    def release(self) -> None:
        """Give it back."""

    def holder(self) -> str:
        """Who holds it, for messages."""


class WriterLock:
    """The writer's lock of one store. Re-entrant within the thread that holds it."""

    def __init__(self, lock: Lock, store: str) -> None:
        self._lock, self._store, self._depth = lock, store, 0
        self._thread = threading.RLock()

    @contextmanager
    def hold(self, purpose: str, wait_s: float, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the lock; wait at most `wait_s` seconds, then raise Conflict naming the holder."""
        if not self._thread.acquire(timeout=max(wait_s, 0)):
            raise Conflict(f"another thread of this process is writing to {self._store}")
        try:
            if self._depth == 0:
                self._wait(purpose, wait_s, say)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._lock.release()
        finally:
            self._thread.release()

    def _wait(self, purpose: str, wait_s: float, say: Callable[[str], None]) -> None:
        deadline, told = time.monotonic() + wait_s, False
        while not self._lock.take(purpose):
            if time.monotonic() >= deadline:
                raise Conflict(
                    f"{self._store} is being written by {self._lock.holder()}\n  do: wait for it to end, then try again"
                )
            if not told:
                say(f"waiting for {self._lock.holder()}, at most {wait_s:.0f} s")
                told = True
            time.sleep(0.05)


class FileLock:
    """An advisory lock on a file."""

    connection = None

    def __init__(self, path: Path) -> None:
        self._path, self._fd = path, -1

    def take(self, purpose: str) -> bool:
        """Try once."""
        note = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose}
        with writing(self._path):
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(fd, 0)
                os.pwrite(fd, json.dumps(note).encode(), 0)
            except BlockingIOError:
                os.close(fd)
                return False
            except OSError:
                os.close(fd)
                raise
        self._fd = fd
        return True

    def release(self) -> None:
        """Give it back."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)  # a process forked meanwhile holds the same open file
        os.close(self._fd)
        self._fd = -1

    def holder(self) -> str:
        """The last holder's own words; not proof that it still runs."""
        try:
            note = json.loads(self._path.read_text())
            return f"process {note['pid']} on {note['host']} ({note['purpose']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
