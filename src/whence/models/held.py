"""A folder's files held open, so that what was checked is what is loaded.

A path can point elsewhere a moment after it was checked. Here each file is opened once; a private folder names the open
files, and whoever checks or loads gets that folder. On Linux its entries lead to the open files themselves, so that a
swapped path or link changes nothing; elsewhere they lead to the paths, and a swap is found by `Held.check`. A file that
is written to in place is found by `Held.check` everywhere.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from blake3 import blake3

from whence.models.tensors import PICKLED, mark, read_before, tensors
from whence.records import Conflict, Unmet

WANTED = (".safetensors", ".json", ".jinja", ".txt", ".model")
"""Endings of files that loading reads. Pickles and code are not among them, so nothing can load them from here."""
OPEN_FILES = Path("/proc/self/fd")
BY_FILE = OPEN_FILES.is_dir()
"""Whether an entry can lead to an open file; it leads to its path otherwise."""


class Held:
    """A folder whose files are held open."""

    def __init__(self, origin: Path, path: Path, files: Mapping[str, int]) -> None:
        """`files`: name → open file."""
        self.origin, self.path = origin, path
        self._lock = threading.Lock()
        self._files = {name: (fd, self._mark(name, fd)) for name, fd in files.items()}
        self._small = {name: blake3((path / name).read_bytes()).digest() for name in files if not _weights(name)}

    def check(self) -> None:
        """Raises Conflict where a file holds other bytes than when it was checked. Microseconds, unless a file was
        touched: then it is read again."""
        for name, (fd, before) in self._files.items():
            if self._mark(name, fd) != before:
                self._again(name)

    def _mark(self, name: str, fd: int) -> tuple[int, ...]:
        return mark(os.fstat(fd) if BY_FILE else (self.path / name).stat())

    def _again(self, name: str) -> None:
        """A file that was only renamed, unlinked or touched is as good as before."""
        with self._lock:
            fd, before = self._files[name]
            now = self._mark(name, fd)
            try:
                if _weights(name):
                    same = read_before(before) == tensors([self.path / name])
                else:
                    same = blake3((self.path / name).read_bytes()).digest() == self._small[name]
            except (Unmet, OSError):
                same = False
            if not same or self._mark(name, fd) != now:
                raise Conflict(f"{self.origin / name} was changed after it was checked\n  do: check and load it again")
            self._files[name] = fd, now


def _weights(name: str) -> bool:
    return name.endswith(".safetensors")


@contextmanager
def hold(folder: Path) -> Iterator[Held]:
    """Hold the files of a model's or adapter's folder until the block ends. Raises Unmet where there is no folder."""
    with ExitStack() as stack:
        private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whence-held-")))
        files = {}
        try:
            for entry in sorted(folder.iterdir()):
                name, place = entry.name, entry.resolve()
                if entry.suffix in PICKLED:
                    os.symlink("left out", private / name)  # seen, and nothing that could be opened
                if entry.suffix not in WANTED or not entry.is_file():
                    continue
                fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                files[name] = fd
                os.symlink(OPEN_FILES / str(fd) if BY_FILE else place, private / name)
        except OSError as error:
            raise Unmet(f"{folder} cannot be read: {error.strerror}", "a model's folder", "check the path") from error
        yield Held(folder, private, files)
