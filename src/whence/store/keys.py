"""The key file: random keys of 32 bytes, one per subject, else one per source, in a file outside the store.

Whoever holds it can confirm a guessed text and tie a pseudonym to a person; without it neither is possible. Lines of
JSON ``{"name", "key", "proof"}``, mode 0600, appended and synced before any row that needs the key is written; the
proof is a digest of the name under the key, so that a changed byte is found. The last line of a name counts; one
without a key says that the key was destroyed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from whence.records import Conflict, Damaged, keyed, writing

PSEUDONYMS = "pseudonyms"
IDENTIFIERS = "identifiers"
"""The key of what people are called in texts; their journal is called so too."""
TORN = b"#torn"
"""Ends a line that counts no more: a killed process left it unfinished, or its key was destroyed."""


class KeyFile:
    """All keys in memory, from the first use on; new ones are kept back until `save`. Any thread may use it."""

    def __init__(self, path: Path, relied_on: Callable[[str], bool] = lambda name: False) -> None:
        """relied_on: whether something on record was made under the key of this name, so that no other may be made."""
        self.path, self._relied_on = path, relied_on
        self._one = threading.RLock()
        self._held: dict[str, bytes] = {}
        self._loaded = False
        self._new: dict[str, bytes] = {}
        self._read = 0
        if path.exists():
            with path.open("rb") as file:
                self._is_one(file.read(1))

    @property
    def _keys(self) -> dict[str, bytes]:
        if not self._loaded:
            self.reload()
        return self._held

    def _is_one(self, start: bytes) -> None:
        if start not in (b"", b"{"):
            raise Damaged(f"{self.path} is no key file\n  do: restore it from its copy, or name another file")

    def reload(self) -> None:
        """Read what other processes appended since."""
        if not self.path.exists():
            self._loaded = True
            return
        with self._one, self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            if not self._read:
                self._is_one(data[:1])
            for number, line in enumerate(whole.splitlines(), 1):
                if line.endswith(TORN):
                    continue
                try:
                    entry = json.loads(line)
                    name, key = entry["name"], bytes.fromhex(entry["key"])
                    if entry["proof"] != _proof(name, key):
                        raise ValueError(name)
                    if key:
                        self._held[name] = key
                    else:
                        self._held.pop(name, None)
                except (ValueError, KeyError, TypeError) as error:
                    do = "restore the file from its copy"
                    raise Damaged(f"{self.path} line {number}: not a key entry; {do}") from error
            self._read += len(whole)
            self._loaded = True

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def get(self, name: str) -> bytes:
        """The key of this name, made now if there is none. Call `save` before anything that used it is stored. Raises
        Damaged where the record needs a key that is gone."""
        key = self._keys.get(name)
        if key is None:
            with self._one:
                if self._to_be_made(name):
                    self._keys[name] = self._new[name] = secrets.token_bytes(32)
                key = self._keys[name]
        return key

    def find(self, name: str) -> bytes | None:
        """The key of this name, or None where there is none (any more)."""
        return self._keys.get(name)

    def save(self) -> None:
        """Append the new keys and sync them to disk. Raises Conflict where another process made one of them first."""
        if not self._new:
            return
        with self._one, self._appending() as fd:
            taken = [name for name, key in self._new.items() if self._keys[name] != key]
            for name in taken:
                del self._new[name]
            if taken:
                raise Conflict(f"another process made keys in {self.path} at the same time\n  do: run this again")
            self._append(fd, self._new)
            self._new.clear()

    def need(self, names: Iterable[str]) -> None:
        """Raises Damaged where one of these keys is gone and the record needs it."""
        for name in names:
            self._to_be_made(name)

    def need_file(self) -> None:
        """Raises Damaged where the file is gone."""
        if not self.path.exists():
            raise Damaged(f"the key file {self.path} is gone\n  do: put the file back from its copy")

    def destroy(self, names: Collection[str]) -> None:
        """End these keys: each gets a last line without a key, then the lines that held one are overwritten where they
        stand. Copies of the file that somebody made keep them."""
        self._end({name: b"" for name in names if name in self._keys}, names)

    def renew(self, names: Mapping[str, str]) -> None:
        """Put the key of each second name in the place of the first one's, which is destroyed."""
        moved = {name: self._keys[staged] for name, staged in names.items() if staged in self._keys}
        self._end({**moved, **{names[name]: b"" for name in moved}}, {*names, *names.values()})

    def _end(self, last: Mapping[str, bytes], names: Collection[str]) -> None:
        if not self.path.exists():
            return
        with self._one, self._appending() as fd:
            if last:
                self._append(fd, last)
            for name, key in last.items():
                self._keys[name] = key
                if not key:
                    del self._keys[name]
            self._blank(names)

    def _blank(self, names: Collection[str]) -> None:
        """Overwrite every line of these names but its last. Needs the file's lock."""
        with writing(self.path), self.path.open("r+b") as file:
            at: dict[str, list[tuple[int, int]]] = {}
            for line in iter(file.readline, b""):
                if line.endswith(b"\n") and not line.endswith(TORN + b"\n"):
                    at.setdefault(json.loads(line)["name"], []).append((file.tell() - len(line), len(line)))
            for place, length in (one for name in names for one in at.get(name, ())[:-1]):
                file.seek(place)
                file.write(b" " * (length - len(TORN) - 1) + TORN)
            file.flush()
            os.fsync(file.fileno())

    def pseudonym(self, identifier: str) -> str:
        """The pseudonym of a person's identifier; the same for the same identifier while this key file lives. The key
        behind it is on disk when this returns, made by the first process that asks. Raises Damaged where it is gone."""
        if self._to_be_made(PSEUDONYMS):
            with self._one, self._appending() as fd:
                if PSEUDONYMS not in self._keys:
                    made = {PSEUDONYMS: secrets.token_bytes(32)}
                    self._append(fd, made)
                    self._keys.update(made)
        return "subject-" + keyed(self._keys[PSEUDONYMS], identifier.encode()).hex()[:32]

    def _to_be_made(self, name: str) -> bool:
        """Whether there is no key of this name. Raises Damaged where there must be one."""
        if name in self._keys:
            return False
        if not self._relied_on(name):
            return True
        self.reload()  # another process may have made it, and used it since
        if name in self._keys:
            return False
        found = "lacks a key that the record needs" if self.path.exists() else "is gone, and the record needs it"
        raise Damaged(f"the key file {self.path} {found} ({name})\n  do: put the file back from its copy")

    @contextmanager
    def _appending(self) -> Iterator[int]:
        """The file, locked against other processes, with all that they wrote read."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            self.reload()
            yield fd
        finally:
            os.close(fd)

    def _append(self, fd: int, made: Mapping[str, bytes]) -> None:
        """Write keys and sync them. A line that was cut off before is closed with a mark."""
        torn = os.fstat(fd).st_size != self._read
        data = (TORN + b"\n" if torn else b"") + _lines(made.items())
        with writing(self.path):
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, "the keys could not be written whole")
            os.fsync(fd)
        self._read = os.fstat(fd).st_size


def _lines(entries: Iterable[tuple[str, bytes]]) -> bytes:
    made = ({"name": name, "key": key.hex(), "proof": _proof(name, key)} for name, key in entries)
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in made)


def _proof(name: str, key: bytes) -> str:
    return keyed(key, b"proof:" + name.encode()).hex()[:16]
