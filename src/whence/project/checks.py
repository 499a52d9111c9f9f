"""Checks, ours and third parties', by the entry-point group ``whence.checks``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points

from whence.records import Finding, Ref, Unmet
from whence.store import Store

Check = Callable[[Store, Ref], Iterable[Finding]]
"""``check(store, thing) → findings``; a check passes over kinds of things that it says nothing about."""


def load_checks() -> dict[str, Check]:
    """Check id → function, for every installed check. Raises Unmet that names one that cannot be loaded."""
    return {point.name: _loaded(point) for point in entry_points(group="whence.checks")}


def _loaded(point: EntryPoint) -> Check:
    try:
        check: Check = point.load()
    except (ImportError, AttributeError) as error:
        package = point.dist.name if point.dist else "the package that gives it"
        found = f"the check {point.name} ({point.value}) cannot be loaded: {error}"
        raise Unmet(found, f"{package} as its entry points say", f"install {package} again, or remove it") from error
    return check
