"""Checks, ours and third parties', by the entry-point group ``whence.checks``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points

from whence.records import Finding, Ref
from whence.store import Store

Check = Callable[[Store, Ref], Iterable[Finding]]
"""``check(store, thing) → findings``; a check passes over kinds of things that it says nothing about."""


def load_checks() -> dict[str, Check]:
    """Check id → function, for every installed check."""
    return {point.name: point.load() for point in entry_points(group="whence.checks")}
