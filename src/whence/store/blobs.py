"""Blobs: bytes under their SHA-256, on any filesystem that fsspec reaches."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress

import fsspec

from whence.records import BackendFailed, Conflict, Damaged, NotFound, sha256, writing

NAME = re.compile(r"[0-9a-f]{64}")
ERASED = ".erased"
"""Behind the name of a file that says what stands in the place of an erased blob."""


class Blobs:
    """A folder ``ab/abcdef…`` of immutable files."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def put(self, data: bytes) -> str:
        """Store and return ``sha256:…``. Readers see all of it or nothing. What was erased stays so."""
        name = sha256(data)
        path = self.path(name)
        if self._fs.exists(path) or self._fs.exists(path + ERASED):
            return name
        partial = f"{path}.{secrets.token_hex(4)}.part"
        try:
            with writing(path):
                self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                with self._fs.open(partial, "wb") as file:
                    file.write(data)
                    if self._fs.protocol[0] == "file":
                        file.flush()
                        os.fsync(file.fileno())
                self._fs.mv(partial, path)
        except BackendFailed:
            self._fs.rm(partial) if self._fs.exists(partial) else None
            raise
        except FileNotFoundError:  # swept meanwhile
            return self.put(data)
        return name

    def put_parts(self, parts: Iterable[bytes]) -> str:
        """Store what parts come to, one at a time in memory. Raises Conflict where an erasure swept it away."""
        partial, hashed = f"{self._root}/00/{secrets.token_hex(8)}.part", hashlib.sha256()
        try:
            with writing(partial):
                self._fs.makedirs(partial.rsplit("/", 1)[0], exist_ok=True)
                with self._fs.open(partial, "wb") as file:
                    for part in parts:
                        hashed.update(part)
                        file.write(part)
                    if self._fs.protocol[0] == "file":
                        file.flush()
                        os.fsync(file.fileno())
                name = f"sha256:{hashed.hexdigest()}"
                path = self.path(name)
                if self._fs.exists(path) or self._fs.exists(path + ERASED):
                    self._fs.rm(partial)
                    return name
                self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                self._fs.mv(partial, path)
        except FileNotFoundError as error:
            raise Conflict("an erasure swept away what was being stored\n  do: the same again") from error
        except BaseException:
            with suppress(OSError):
                self._fs.rm(partial)
            raise
        return name

    def get(self, name: str) -> bytes:
        """The bytes, checked against their name; of an erased blob, those that took its place. Raises NotFound or
        Damaged."""
        try:
            data = self._fs.cat_file(self.path(name))
        except FileNotFoundError:
            if now := self.erased(name):
                return self.get(now)
            was = "was erased" if now is not None else "is not in the store"
            raise NotFound(f"blob {name} {was}") from None
        if sha256(data) != name:
            raise Damaged(f"blob {name} holds other bytes than its name says ({self.path(name)})")
        return bytes(data)

    def __contains__(self, name: object) -> bool:
        """Whether these bytes are there."""
        return bool(self._fs.exists(self.path(str(name))))

    def erase(self, name: str, now: str = "") -> None:
        """Remove a blob for good; `now`: the blob that stands in its place. Does nothing the second time."""
        with writing(self.path(name)):
            self._fs.pipe_file(self.path(name) + ERASED, now.encode())
            if self._fs.exists(self.path(name)):
                self._fs.rm(self.path(name))

    def sweep(self) -> None:
        """Remove what killed processes left of blobs that they were writing; one that lives writes its own again."""
        for path in self._fs.glob(f"{self._root}/*/*.part"):
            with suppress(FileNotFoundError):
                self._fs.rm(path)

    def erased(self, name: str) -> str | None:
        """What stands in the place of an erased blob, "" for nothing; None where it was not erased."""
        try:
            return bytes(self._fs.cat_file(self.path(name) + ERASED)).decode()
        except FileNotFoundError:
            return None

    def path(self, name: str) -> str:
        """Where the blob lies. Raises NotFound for what is no name of a blob."""
        hexes = name.removeprefix("sha256:")
        if not NAME.fullmatch(hexes):
            raise NotFound(f"{name!r} is no name of a blob")
        return f"{self._root}/{hexes[:2]}/{hexes}"

    def names(self) -> Iterator[str]:
        """All blobs, unfinished ones left out."""
        if self._fs.exists(self._root):
            for path in sorted(self._fs.find(self._root)):
                hexes = path.rsplit("/", 1)[1]
                if len(hexes) == 64:
                    yield "sha256:" + hexes
