"""The error tree. Each error says what was found, what was expected and what to do.

WhenceError
├── Unmet          something must be fixed first: found, expected, do
├── NotFound       the thing asked for is not in the record
├── Conflict       somebody else holds or changed it
├── Damaged        the store no longer says what it said
└── BackendFailed  a foreign library or process failed
"""

from __future__ import annotations

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


def require(extra: str, *modules: str) -> None:
    """Raise Unmet naming the extra of whence that brings these modules, where one is not installed."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise Unmet(f"{', '.join(missing)} is not installed", f"the extra {extra!r}", f"pip install 'whence[{extra}]'")
