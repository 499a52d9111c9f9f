"""One writer at a time: an advisory lock on a file inside the store. The kernel drops it when its holder dies."""

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

from whence.records import Conflict


class WriterLock:
    """The lock of one store. Re-entrant within the thread that holds it."""

    def __init__(self, path: Path) -> None:
        self._path, self._depth = path, 0
        self._thread = threading.RLock()
        self._fd = -1

    @contextmanager
    def hold(self, purpose: str, wait_s: float, say: Callable[[str], None]) -> Iterator[None]:
        """Hold the lock; wait at most `wait_s` seconds, then raise Conflict naming the holder."""
        if not self._thread.acquire(timeout=max(wait_s, 0)):
            raise Conflict(f"another thread of this process is writing to {self._path.parent}")
        try:
            if self._depth == 0:
                self._fd = self._acquire(purpose, wait_s, say)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    os.close(self._fd)
        finally:
            self._thread.release()

    def _acquire(self, purpose: str, wait_s: float, say: Callable[[str], None]) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline, told = time.monotonic() + wait_s, False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = self.holder()
                if time.monotonic() >= deadline:
                    os.close(fd)
                    raise Conflict(
                        f"{self._path.parent} is being written by {holder}\n  do: wait for it to end, then try again"
                    ) from None
                if not told:
                    say(f"waiting for {holder}, at most {wait_s:.0f} s")
                    told = True
                time.sleep(0.05)
        note = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose}
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(note).encode(), 0)
        return fd

    def holder(self) -> str:
        """The last holder's own words, for messages; not proof that it still runs."""
        try:
            note = json.loads(self._path.read_text())
            return f"process {note['pid']} on {note['host']} ({note['purpose']})"
        except (OSError, ValueError, KeyError):
            return "another process"
