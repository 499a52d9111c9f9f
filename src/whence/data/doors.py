"""Where a source's bytes come from: a file, the folder of a saved data set, or a URL, whose object is fetched whole
before any of it is read. What is digested is what is read."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
from blake3 import blake3
from fsspec.registry import known_implementations

from whence.data.arrow_files import saved_files
from whence.records import BackendFailed, Conflict, Unmet, WhenceError
from whence.records.errors import install

Place = Path | str
"""A path on this machine, or a URL."""
Progress = Callable[[int, int], None]
"""(bytes read, bytes in all)."""

STEP_BYTES = 8 << 20
"""Fetched or digested at once."""
EXTRAS = {"s3": "s3", "s3a": "s3"}
"""Kind of URL → the extra of whence that brings its client."""


NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")
"""What botocore, which need not be installed, calls their absence."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A source that is open."""

    what: io.BufferedReader | Path
    """a file, or the folder of a saved data set"""
    size: int
    """bytes"""
    digest: str
    """``b3:`` of a file's bytes, or of the names and digests of the files of a folder"""
    check: Callable[[], None] = lambda: None
    """raises Conflict where the source has changed since it was digested"""


def is_url(path: str) -> bool:
    """Whether a source's path is a URL."""
    return "://" in path


def url_fault(url: str) -> str | None:
    """Why a URL cannot be a source, as far as that shows without asking its server."""
    kind, _, rest = url.partition("://")
    known = known_implementations.get(kind)
    if known is None or "::" in url:
        return f"no kind of URL is read that begins with {kind}://; known are s3, gs, abfs, https and what fsspec knows"
    if kind == "memory":
        return "memory:// is seen by the process that wrote it only; write a file"
    if "@" in rest.partition("/")[0] or "?" in rest:
        return "the location is recorded, so it may hold no password and no signed query; use the environment"
    module = known["class"].partition(".")[0]
    if find_spec(module) is None:
        do = install(EXTRAS[kind]) if kind in EXTRAS else f"pip install {module!r}"
        return f"{module}, which reads {kind}://, is not installed; {do}"
    return None


@contextmanager
def looked_at(place: Place) -> Iterator[io.BufferedReader | Path]:
    """A source to look at the beginning of: nothing is fetched that is not read. Raises Unmet, BackendFailed."""
    if isinstance(place, Path) and place.is_dir():
        yield place
    elif isinstance(place, Path):
        with _local(place) as file:
            yield file
    else:
        with _told_of(place):
            found = _remote(place)[0]
        with io.BufferedReader(found) as file:
            yield file


@contextmanager
def opened(place: Place, scratch: Path, progress: Progress) -> Iterator[Opened]:
    """A source to read whole. What a URL names lies meanwhile in a file without a name in the folder `scratch`, which
    is gone when this process is. Raises Unmet, Conflict, and BackendFailed where it cannot be fetched whole."""
    if isinstance(place, str):
        with tempfile.TemporaryFile(dir=scratch) as copy:
            yield Opened(copy, *_fetch(place, copy, progress))  # type: ignore[arg-type]
        return
    files = saved_files(place) if place.is_dir() else [place]
    before = [_mark(path) for path in files]

    def check() -> None:
        if [_mark(path) for path in files] != before:
            raise Conflict(f"{place} was changed while it was read\n  do: let its writer finish, then run again")

    digests, size = [_digest(path) for path in files], sum(size for _, size, _ in before)
    if place.is_dir():
        named = "".join(f"{path.name} {digest}\n" for path, digest in zip(files, digests, strict=True))
        yield Opened(place, size, "b3:" + blake3(named.encode()).hexdigest(), check)
    else:
        with _local(place) as file:
            yield Opened(file, size, digests[0], check)


def _mark(path: Path) -> tuple[int, int, int]:
    """What changes when the file does: its inode, its bytes, its time."""
    with _local(path) as file:
        facts = os.fstat(file.fileno())
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _local(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file", "name one that can") from error


def _digest(path: Path) -> str:
    hasher = blake3(max_threads=1)
    with _local(path) as file:
        while data := file.read(STEP_BYTES):
            hasher.update(data)
    return "b3:" + hasher.hexdigest()


# -- URLs --------------------------------------------------------------------------------------------------------------


def _remote(url: str) -> tuple[Any, int | None, Callable[[], str]]:
    """(the object, open; its size where its server says it; what tells whether it changed)."""
    system, path = fsspec.url_to_fs(url, skip_instance_cache=True)
    facts = system.info(path)
    if facts["type"] != "file":
        raise Unmet(f"{url} is a folder", "one object", "name the object, or copy the folder to this machine")

    def mark() -> str:
        system.invalidate_cache()
        return str(system.ukey(path))

    return system.open(path, "rb", block_size=STEP_BYTES), facts["size"], mark


def _fetch(url: str, copy: Any, progress: Progress) -> tuple[int, str]:
    """Copy an object. Returns (bytes, digest)."""
    hasher, done = blake3(max_threads=1), 0
    with _told_of(url):
        source, size, mark = _remote(url)
        before = mark()
        with source:
            while data := source.read(STEP_BYTES):
                copy.write(data)
                hasher.update(data)
                done += len(data)
                progress(done, size or done)
        if mark() != before:
            raise Conflict(f"{url} was changed while it was fetched\n  do: let its writer finish, then run again")
    if size is not None and done != size:
        raise BackendFailed(f"{url} broke off after {done:,} of {size:,} bytes\n  do: run again; nothing was kept")
    copy.seek(0)
    return done, "b3:" + hasher.hexdigest()


@contextmanager
def _told_of(url: str) -> Iterator[None]:
    """What a client raises for this URL, as errors of ours."""
    fault = url_fault(url)
    if fault:
        raise Unmet(fault, "a URL that can be read", "correct the path of the source")
    try:
        yield
    except WhenceError:
        raise
    except FileNotFoundError as error:
        _not_reached(url, error.__cause__)
        raise Unmet(f"there is no object {url}", "one that exists", "look at its name and its bucket") from error
    except PermissionError as error:
        raise Unmet(
            f"{url} may not be read: {error}", "the right to read it", "set credentials in the environment (AWS_…)"
        ) from error
    except Exception as error:
        if type(error).__name__ in NO_CREDENTIALS:
            raise Unmet(
                f"there are no credentials for {url}: {error}", "those of somebody who may read it",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
            ) from error  # fmt: skip
        said = str(error) or type(error).__name__
        raise BackendFailed(f"{url} cannot be fetched: {said[:300]}\n  do: run again; nothing was kept") from error


def _not_reached(url: str, cause: BaseException | None) -> None:
    """Raises BackendFailed where nobody said that there is no such object: fsspec calls every failure of HTTP so."""
    status = getattr(cause, "status", None)
    if isinstance(status, int) and status not in (404, 410):
        said = f"its server answers {status} {getattr(cause, 'message', '')}".rstrip()
        raise BackendFailed(f"{url} cannot be fetched: {said}\n  do: see that it may be read from here") from cause
    if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
        raise BackendFailed(
            f"{url} cannot be reached: {cause}\n  expected: a server that answers\n"
            "  do: look at the name of the host and at the network, then run again; nothing was kept"
        ) from cause
