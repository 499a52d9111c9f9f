"""The key file: random keys of 32 bytes, one per subject, else one per source, in a file outside the store.

Whoever holds it can confirm a guessed text and tie a pseudonym to a person; without it neither is possible. Lines of
JSON ``{"name", "key", "proof"}``, mode 0600, appended and synced before any row that needs the key is written; the
proof is a digest of the name under the key, so that a changed byte is found.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from whence.records import Conflict, Damaged, keyed

PSEUDONYMS = "pseudonyms"
TORN = b"#torn"
"""Ends a line that a killed process left unfinished; its key was never used."""


class KeyFile:
    """All keys in memory; new ones are kept back until `save`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[str, bytes] = {}
        self._new: list[str] = []
        self._read = 0
        self.reload()

    def reload(self) -> None:
        """Read what other processes appended since."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            if line.endswith(TORN):
                continue
            try:
                entry = json.loads(line)
                name, key = entry["name"], bytes.fromhex(entry["key"])
                if entry["proof"] != _proof(name, key):
                    raise ValueError(name)
                self._keys[name] = key
            except (ValueError, KeyError, TypeError) as error:
                raise Damaged(f"{self.path} line {number}: not a key entry; restore the file from its copy") from error
        self._read += len(whole)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def get(self, name: str) -> bytes:
        """The key of this name, made now if there is none. Call `save` before anything that used it is stored."""
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = secrets.token_bytes(32)
            self._new.append(name)
        return key

    def find(self, name: str) -> bytes | None:
        """The key of this name, or None where there is none (any more)."""
        return self._keys.get(name)

    def save(self) -> None:
        """Append the new keys and sync them to disk. Raises Conflict where another process made one of them first."""
        if not self._new:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            mine = {name: self._keys[name] for name in self._new}
            self._new.clear()
            self.reload()
            if any(self._keys[name] != key for name, key in mine.items()):
                raise Conflict(f"another process made keys in {self.path} at the same time\n  do: run this again")
            torn = os.fstat(fd).st_size != self._read
            os.write(fd, (TORN + b"\n" if torn else b"") + _lines(mine.items()))
            os.fsync(fd)
            self._read = os.fstat(fd).st_size
        finally:
            os.close(fd)

    def pseudonym(self, identifier: str) -> str:
        """The pseudonym of a person's identifier; the same for the same identifier while this key file lives."""
        return "subject-" + keyed(self.get(PSEUDONYMS), identifier.encode()).hex()[:32]


def _lines(entries: Iterable[tuple[str, bytes]]) -> bytes:
    made = ({"name": name, "key": key.hex(), "proof": _proof(name, key)} for name, key in entries)
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in made)


def _proof(name: str, key: bytes) -> str:
    return keyed(key, b"proof:" + name.encode()).hex()[:16]
