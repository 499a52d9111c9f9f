"""The error tree. Each error says what was found, what was expected and, where there is something to do, what.

WhenceError
├── Unmet          something must be fixed first: found, expected, do
├── NotFound       the thing asked for is not in the record
├── Conflict       somebody else holds or changed it
├── Damaged        the store no longer says what it said
└── BackendFailed  a foreign library or process failed
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


class WhenceError(Exception):
    """The root of all errors that a user is meant to read."""


class Unmet(WhenceError):
    """A condition that the user can fix: what was found, what was expected, what to do."""

    def __init__(self, found: str, expected: str = "", do: str = "") -> None:
        self.found, self.expected, self.do = found, expected, do
        parts = [found]
        if expected:
            parts.append(f"expected: {expected}")
        if do:
            parts.append(f"do: {do}")
        super().__init__("\n  ".join(parts))


class NotFound(WhenceError):
    """Nothing in the record answers to this id or name."""


class Conflict(WhenceError):
    """Another process holds the lock, or the record moved under us."""


class Damaged(WhenceError):
    """Something stored does not match its digest."""


class BackendFailed(WhenceError):
    """A foreign library, server or child process failed."""


REFUSALS = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the quota is used up", "free some space, or have the quota raised"),
    errno.EFBIG: ("a file would grow larger than this process may write", "raise the limit (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "mount it for writing"),
}
"""Why a system refuses to write, and what helps."""


def unwritable(place: object, error: BaseException) -> BackendFailed | None:
    """What to say where writing to `place` failed because the system refuses it; None where it failed for another
    reason. Foreign libraries often keep nothing of the system's number but its words."""
    code = getattr(error, "errno", None)
    said = str(error).lower()
    for number, (why, do) in REFUSALS.items():
        if code == number or (code is None and os.strerror(number).lower() in said):
            return BackendFailed(f"{place} cannot be written: {why}\n  do: {do}, then run this again")
    return None


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Raises BackendFailed where the system refuses to write to `place`, Unmet where it cannot be a file; other errors
    pass."""
    try:
        yield
    except PermissionError as error:
        do = "change its owner or mode, or act as another user"
        raise BackendFailed(f"{place} cannot be written: this user may not write there\n  do: {do}") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        folder = os.path.dirname(os.path.abspath(str(place)))
        if os.path.isdir(folder) and not os.path.isdir(str(place)):
            raise
        found = "it is a folder" if os.path.isdir(folder) else f"there is no folder {folder}"
        raise Unmet(f"{place} cannot be written: {found}", "a file in a folder that exists", "name another") from error
    except Exception as error:
        refused = None if isinstance(error, WhenceError) else unwritable(place, error)
        if refused is None:
            raise
        raise refused from error


def install(extra: str) -> str:
    """The command that brings an extra of whence. Of that name alone, pip would find somebody else's package."""
    return f"in whence's checkout: pip install -e '.[{extra}]'"


def require(extra: str, *modules: str) -> None:
    """Raise Unmet naming the extra of whence that brings these modules, where one is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise Unmet(f"{', '.join(missing)} is not installed", f"the extra {extra!r}", install(extra))
