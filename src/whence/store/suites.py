"""Which version of each suite counts now."""

from __future__ import annotations

from whence.records import Ref, Suite
from whence.store.store import Store

CURRENT = "suite.current"
"""an event about the version that counts from now on"""


def current_suites(store: Store) -> dict[str, tuple[Ref, Suite]]:
    """Name → the version that counts, and its digest; parts of suites (``gate/NAME``) are none."""
    known = {ref: suite for ref, suite in store.all(Suite) if "/" not in suite.name}
    found = {suite.name: (ref, suite) for ref, suite in known.items()}
    for event in store.events(CURRENT):
        ref = Ref(event.about)
        found[known[ref].name] = (ref, known[ref])
    return found
