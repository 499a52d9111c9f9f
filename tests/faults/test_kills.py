"""kill -9 at random moments of ingest, curation and withdrawals: the fault set in small."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.fault


def test_killed_work_loses_nothing_and_ends_as_if_undisturbed(broken: Callable) -> None:
    stations = ("--stations", "ingest", "curate", "rights withdraw")
    [table] = broken("kills", "--light", "--total", 20, "--seed", 5, *stations)
    assert set(stations[1:]) == set(table)
    acknowledged = 0
    for name in stations[1:]:
        kills, ended, before, amid, after, lost, said, *_ = table[name]
        assert kills >= 3
        assert kills + ended >= before + amid + after
        assert lost == 0
        acknowledged += said
    assert acknowledged > 10, "hardly anything was acknowledged, so this run shows nothing"
    assert table["ingest"][3] > 0, "no kill fell into the midst of an ingest"
