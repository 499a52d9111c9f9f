"""No space: on a file system that is full, where one may be mounted, and under a limit on the size of a file."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bench.faults.full import LIGHT

pytestmark = pytest.mark.fault


def test_without_space_work_is_refused_clearly_and_goes_on_with_space(broken: Callable) -> None:
    tables = broken("full", "--light", "--total", 3, "--seed", 3)
    assert len(tables) == 2
    if not tables[0]:
        print("a file system that is full was not tried: this user may not mount one")
    assert set(tables[1]) == set(LIGHT)
    for table in filter(None, tables):
        tried = {name: table[name] for name in LIGHT}
        assert all(numbers[0] == 3 for numbers in tried.values())
        assert sum(numbers[1] for numbers in tried.values()) > 3, "hardly anything was refused"
