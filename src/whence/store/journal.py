"""Words: the content of traces, feedback, reasons and quarantined lines, apart from SQL, each under a salted digest.

One line of JSON an entry: ``{"salt", "head", "body"}``. The digest covers all three, so that nobody who holds only
the digest can confirm a guess, and overwriting an entry erases it. Each process writes segments of its own, so lines
never interleave; a killed process leaves at most one torn last line, which readers pass over.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from whence.records import Damaged, Json, encode, sha256, writing

SEGMENT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one entry lies."""

    digest: str
    segment: str
    offset: int
    length: int


class Journal:
    """All segments of one kind of words. Any thread may append."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._segment, self._size = "", 0
        self._appending = threading.Lock()

    def append(self, body: Json, head: Json = None) -> Entry:
        """Write one entry; when this returns, a kill of this process does not lose it."""
        salt, texts = secrets.token_hex(16), {"body": encode(body), "head": encode(head)}
        digest = _digest(salt, texts["head"], texts["body"])
        texts["salt"] = f'"{salt}"'.encode()
        line = b"{%b}\n" % b",".join(b'"%b":%b' % (k.encode(), text) for k, text in texts.items() if text != b"null")
        with self._appending, writing(self._folder):
            if self._fd < 0 or self._size > SEGMENT_BYTES:
                self._open_segment()
            offset = self._size
            written = os.write(self._fd, line)
            self._size += written
            if written != len(line):
                self._finish()
                raise OSError(errno.ENOSPC, f"wrote {written} of {len(line)} bytes")
            return Entry(digest, self._segment, offset, len(line))

    def sync(self) -> None:
        """Bring what was appended to the disk."""
        with self._appending:
            if self._fd < 0:
                return
            fd = os.dup(self._fd)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _open_segment(self) -> None:
        self._finish()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._segment, self._size = f"{os.getpid():x}-{secrets.token_hex(6)}.jsonl", 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._folder / self._segment, flags, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_SH)  # as long as this process may write to it

    def close(self) -> None:
        """Finish the open segment."""
        with self._appending:
            self._finish()

    def _finish(self) -> None:
        """A finished segment is on disk: `sync` reaches the open one only."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def read(self, entry: Entry) -> Json:
        """The body, checked against its digest. Raises Damaged."""
        return next(self.read_many([entry]))[1]

    def read_many(self, entries: Iterable[Entry]) -> Iterator[tuple[str, Json]]:
        """(digest, body) of each, checked; each segment is opened once. Raises Damaged."""
        by_place = sorted(entries, key=lambda entry: (entry.segment, entry.offset))
        for segment, held in groupby(by_place, key=lambda entry: entry.segment):
            with ExitStack() as opened:
                file = None
                for entry in held:
                    try:
                        file = file or opened.enter_context((self._folder / segment).open("rb"))
                        file.seek(entry.offset)
                        raw = file.read(entry.length)
                    except OSError as error:
                        where = f"journal {self._folder.name}/{segment} at byte {entry.offset}"
                        raise Damaged(f"{where}: {error}") from error
                    yield entry.digest, self._body(entry, raw)

    def _body(self, entry: Entry, raw: bytes) -> Json:
        try:
            line = json.loads(raw)
            if raw.find(b"\n") != entry.length - 1:
                raise ValueError("no whole line")
            found = _digest(line["salt"], encode(line.get("head")), encode(line.get("body")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"journal {self._folder.name}/{entry.segment} at byte {entry.offset}: {error}") from error
        if found != entry.digest:
            raise Damaged(f"journal {self._folder.name}/{entry.segment} at byte {entry.offset} was changed")
        return line.get("body")

    def segments(self) -> list[str]:
        """Names of all segments."""
        return sorted(p.name for p in self._folder.glob("*.jsonl"))

    def drop_all_but(self, kept: Container[str]) -> None:
        """Remove the other segments; those that nobody else is writing."""
        self.close()
        for segment in self.segments():
            if segment not in kept:
                (self._folder / segment).unlink()

    def drop(self, segments: Iterable[str]) -> None:
        """Remove these segments; one that another process writes is left to it."""
        self.close()
        for segment in segments:
            path = self._folder / segment
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def blank(self, entries: Iterable[Entry]) -> None:
        """Overwrite entries where they stand, so that others stay where they are and a segment that another process
        writes need not be closed."""
        by_place = sorted(entries, key=lambda entry: (entry.segment, entry.offset))
        for segment, held in groupby(by_place, key=lambda entry: entry.segment):
            with writing(self._folder), (self._folder / segment).open("r+b") as file:
                for entry in held:
                    file.seek(entry.offset)
                    file.write(b" " * (entry.length - 1))
                file.flush()
                os.fsync(file.fileno())

    def blank_torn(self) -> None:
        """Overwrite the last lines that killed processes left unfinished; segments that somebody writes are left."""
        for segment in self.segments():
            if segment == self._segment and self._fd >= 0:
                continue
            with writing(self._folder), (self._folder / segment).open("r+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
                if file.read(1) in (b"", b"\n", b" "):
                    continue
                file.seek(0)
                data = file.read()
                start = data.rfind(b"\n") + 1
                file.seek(start)
                file.write(b" " * (len(data) - start))
                file.flush()
                os.fsync(file.fileno())

    def scan(self, segment: str) -> Iterator[tuple[Entry, Json]]:
        """(entry, head) of each whole line that was not erased; one that cannot be read has an entry without a
        digest."""
        offset = 0
        with (self._folder / segment).open("rb") as file:
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                if raw.isspace():
                    offset += len(raw)
                    continue
                try:
                    line = json.loads(raw)
                    head = line.get("head")
                    digest = _digest(line["salt"], encode(head), encode(line.get("body")))
                except (ValueError, KeyError, TypeError, AttributeError):
                    head, digest = None, ""
                yield Entry(digest, segment, offset, len(raw)), head
                offset += len(raw)


def _digest(salt: str, head: bytes, body: bytes) -> str:
    return sha256(bytes.fromhex(salt) + b"[%b,%b]" % (head, body))
