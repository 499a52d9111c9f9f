"""Files of lines that are only ever added to: each line carries a digest over itself and all before it.

A process killed while it writes leaves a torn last line, which says so; any other change is damage.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from whence.records.canonical import Json, encode
from whence.records.errors import Damaged


class ChainedFile:
    """A file of chained lines, open for adding. Each line is on the disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        """Go on after the last whole line. Raises Damaged, OSError."""
        lines = read_chained(path) if path.exists() else []
        self._last = lines[-1]["chain"] if lines else ""
        self.lines = [line["line"] for line in lines]
        """what was there before, in order"""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        whole = sum(len(encode(line)) + 1 for line in lines)
        os.ftruncate(self._fd, whole)
        os.lseek(self._fd, whole, os.SEEK_SET)

    def add(self, line: Json) -> None:
        """Write one line and wait until the disk has it."""
        self._last = _link(self._last, line)
        data = encode({"chain": self._last, "line": line}) + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]
        os.fsync(self._fd)

    def fileno(self) -> int:
        """For a lock."""
        return self._fd

    def close(self) -> None:
        """Give the file back."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def read_chained(path: Path) -> list[Json]:
    """The whole lines of a file, each {"chain": its digest, "line": what was added}; a torn last line is left out.
    Raises Damaged where a line was changed, taken out or put in."""
    found: list[Json] = []
    last = ""
    data = path.read_bytes()
    parts = data.split(b"\n")
    for number, raw in enumerate(parts[:-1], 1):
        try:
            entry = json.loads(raw)
            last = _link(last, entry["line"])
            fits = entry["chain"] == last and encode(entry) == raw
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise Damaged(
                f"line {number} of {path} is not what was written: its digest does not follow from the lines up to it\n"
                "  do: restore the file from its copy; nothing of it was brought in"
            )
        found.append(entry)
    return found


def _link(before: str, line: Json) -> str:
    return "sha256:" + hashlib.sha256(before.encode() + encode(line)).hexdigest()
