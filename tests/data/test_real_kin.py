"""What is known of public data sets: the same conversation or person on both sides, where no text match sees it; and
what a ladder of published thresholds does to near-duplicates (docs/real-data.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pytest
from bench.kin import PUBLISHED, alike, few_shots, found, gpteacher, rungs, turns, users

from whence.data import CurationPlan, curate
from whence.records import RunReport, Snapshot
from whence.store import Store, row_set

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(("level", "shared"), [("sentence", 338), ("turn", 0)])
def test_mixed_levels_of_multidogo_share_conversations_and_one_level_does_not(
    real_data: Path, level: str, shared: int
) -> None:
    test = sorted({one["conversation"] for one in turns("turn", "test")})
    kin, line = found(turns(level, "train"), test, text="text", group="conversation")
    assert (kin.items, kin.leaked(), pc.count_distinct(kin.found["evidence"]).as_py()) == (482, shared, shared)
    assert set(kin.found["tier"].to_pylist()) == ({"conversation"} if shared else set())
    assert line.startswith("fail" if shared else "pass")


@pytest.mark.parametrize(("tasks", "shared"), [("test", 39), ("train", 31), ("dev", 1), ("other", 0)])
def test_users_of_taus_worked_conversations_are_users_of_its_tasks(real_data: Path, tasks: str, shared: int) -> None:
    shown = few_shots()
    assert (len(shown), len({one["user"] for one in shown} - {None})) == (69, 40)
    kin, line = found(shown, sorted(set(users(tasks))), text="text", subject="user")
    assert kin.leaked() == pc.count_distinct(kin.found["evidence"]).as_py() == shared
    assert line.startswith("fail" if shared else "pass")


def test_gpteachers_ladder_goes_down_and_so_do_its_near_duplicates(
    store: Store, take: Callable[..., RunReport], real_data: Path
) -> None:
    """Published: rows left at thresholds of a measure that is not named. Ours: the step near_duplicate."""
    report = take(gpteacher(), prompt="prompt", completion="completion")
    plan = CurationPlan(name="p", ingests=[report.run], steps=[], withdrawn=row_set([]), groups={}, inputs={})
    ladder = [*rungs(store, store.get(curate(store, plan)[0], Snapshot))]
    left = [len(texts) for _, texts in ladder]
    assert left == sorted(left, reverse=True)
    assert left[0] == PUBLISHED[1.0] == 7673
    shares = [alike(texts, 0.7) for _, texts in ladder]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] < 0.02
