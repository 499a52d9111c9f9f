"""One command line that is killed at a moment, or finds the disk full from then on: ``python dying.py kill|full MOMENT
MOMENTS WORDS…``.

Moments are counted from 0: each file that is opened for writing, moved or removed in the store or beside it, each
event before and after it is added to the chain, each sign of progress. With MOMENT -1 nothing happens; where it is no
number, it is how the moment's line begins. MOMENTS is a file that gets a line for each one that was passed. A full
disk is a limit on the size of files: no byte more can be written.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.remove": 0, "os.rename": 1, "os.rmdir": 0, "os.mkdir": 0}
"""What the interpreter tells of a change → which of its arguments names the place."""


class Moments:
    """Counts them; at one, kills the whole process group or lets no file be written any more."""

    def __init__(self, how: str, last: str, out: Path, root: Path) -> None:
        self._kill, self._last, self._root = how == "kill", last, str(root)
        self._passed, self._full = 0, False
        self._out = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def pass_(self, what: str) -> None:
        """One of them."""
        if self._full:
            return
        os.write(self._out, f"{what}\n".encode())
        self._passed += 1
        if self._last != str(self._passed - 1) and not what.startswith(self._last):
            return
        if self._kill:
            os.killpg(0, signal.SIGKILL)
        self._full = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def heard(self, event: str, args: tuple[Any, ...]) -> None:
        """An audit hook."""
        at = CHANGES.get(event, 0 if event == "open" and isinstance(args[2], int) and args[2] & WRITES else None)
        if at is None or not isinstance(args[at], str | os.PathLike):
            return
        place = os.path.join(os.getcwd(), os.fspath(args[at]))
        if place.startswith(self._root) and not place.endswith(("/lock", ".pyc")) and "__pycache__" not in place:
            self.pass_(f"{event} {os.path.relpath(place, self._root)}")


def main() -> int:
    """Run the command."""
    from whence.cli import main as command
    from whence.cli.session import Teller
    from whence.store.catalogue import Catalogue

    moments = Moments(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path.cwd())
    append, progress = Catalogue.append, Teller.progress

    def appended(self: Catalogue, kind: str, *args: Any, **named: Any) -> Any:
        moments.pass_(f"before {kind}")
        event = append(self, kind, *args, **named)
        moments.pass_(f"after {kind}")
        return event

    def told(self: Teller, stage: str, what: str, done: float, total: float) -> None:
        moments.pass_(f"progress {what} {done}")
        progress(self, stage, what, done, total)

    Catalogue.append, Teller.progress = appended, told  # type: ignore[method-assign]
    sys.addaudithook(moments.heard)
    return command(sys.argv[4:])


if __name__ == "__main__":
    sys.exit(main())
