"""Files of every kind, a bit flipped or cut short: harmless, or named by ``verify``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench.faults.damage import KINDS

pytestmark = pytest.mark.fault


def test_damage_is_harmless_or_named(broken: Callable) -> None:
    [table] = broken("damage", "--total", 5, "--seed", 7)
    assert set(table) == set(KINDS)
    assert all((table[kind][0], table[kind][3]) == (5, 2) for kind in KINDS)
    named = {kind for kind in KINDS if table[kind][1] + table[kind][4]}
    assert named >= {"catalogue, log", "head", "blobs", "journal", "adapter", "whence.lock", "keys", "index"}
