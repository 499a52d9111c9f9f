"""The head of the chain once more, in a file beside the database.

SQLite passes over the end of a log that was damaged, and a database is restored from an older copy without a word; the
events that are gone then are missed by this file. It is written after each commit and never before, so that a process
killed in between leaves an older head, which is as true.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from whence.records import Damaged

LINE = "{:020d} {:71}\n"
WAITS_S = (0.0, 0.0, 0.0, 0.001, 0.01, 0.1)
"""before each time that it is read"""


class HeadFile:
    """The file ``head`` of one store."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, seq: int, digest: str) -> None:
        """Keep this head. Where nothing can be written the older one stays."""
        with suppress(OSError):
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, LINE.format(seq, digest).encode(), 0)
            finally:
                os.close(fd)

    def read(self) -> tuple[int, str] | None:
        """(number of events, digest of the last one) as last kept, or None. Raises Damaged. A writer may be half way,
        so it is read until it is twice the same, or often enough."""
        last, fault = "", ValueError("it is empty")
        for wait in WAITS_S:
            time.sleep(wait)
            try:
                said = self.path.read_text()
                seq, _, digest = said.partition(" ")
                if said != LINE.format(int(seq), digest.strip()):
                    raise ValueError("it is no line of this file")
                if said == last or wait == WAITS_S[-1]:
                    return int(seq), digest.strip()
                last = said
            except FileNotFoundError:
                return None
            except ValueError as error:
                fault = error
        raise Damaged(f"{self.path} cannot be read: {fault}\n  do: delete it; it is written again") from fault
