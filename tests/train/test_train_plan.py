"""The schedule: removing rows never moves the others; tiers keep to their stretch."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.records import Schedule, Tier, Unmet
from whence.train import plan, step_of
from whence.train.plan import rate, window

schedules = st.builds(
    Schedule,
    key=st.text("0123456789abcdef", min_size=1, max_size=64),
    epochs=st.integers(1, 4),
    steps_per_epoch=st.integers(1, 30),
    divisor=st.just(10.0),
)


def ids(count: int) -> list[str]:
    return [hashlib.blake2b(str(i).encode(), digest_size=32).hexdigest() for i in range(count)]


def tiered(epochs: int = 2, steps: int = 50, first: int = 80, length: int = 20, **more: Any) -> Schedule:
    tier = Tier(**{"sources": ("late",), "rehearsal": 0.0, "first_step": first, "steps": length} | more)
    return Schedule(key="ab", epochs=epochs, steps_per_epoch=steps, divisor=10.0, tiers=(tier,))


@given(schedules, st.integers(0, 60), st.data())
def test_removing_rows_never_moves_the_others(schedule: Schedule, count: int, data: st.DataObject) -> None:
    every = ids(count)
    gone = set(data.draw(st.lists(st.sampled_from(every), unique=True))) if every else set()
    stay = data.draw(st.permutations([name for name in every if name not in gone]))
    assert plan(stay, schedule) == [[name for name in step if name not in gone] for step in plan(every, schedule)]


@given(schedules, st.integers(0, 60))
def test_each_row_once_an_epoch_in_its_step(schedule: Schedule, count: int) -> None:
    steps = plan(ids(count), schedule)
    per = schedule.steps_per_epoch
    assert len(steps) == schedule.epochs * per
    assert all(step == sorted(step) for step in steps)
    for j in range(schedule.epochs):
        assert sorted(name for step in steps[j * per : (j + 1) * per] for name in step) == sorted(ids(count))
    assert all(name in steps[step_of(schedule, name, j)] for name in ids(count) for j in range(schedule.epochs))


def test_tier_rows_land_in_the_tier_and_others_everywhere() -> None:
    names, schedule = ids(400), tiered()
    sources = ["late" if i % 4 == 0 else "main" for i in range(400)]
    steps = plan(names, schedule, sources)
    late = set(names[::4])
    found = [number for number, step in enumerate(steps) for name in step if name in late]
    assert len(found) == 200
    assert min(found) >= 80
    assert [window(schedule, "late", j) for j in range(2)] == [(80, 10), (90, 10)]
    assert any(name not in late for step in steps[80:] for name in step)
    everything_gone = plan([n for n in names if n not in late], schedule, ["main"] * 300)
    assert everything_gone == [[n for n in step if n not in late] for step in steps]


def test_a_tier_that_does_not_divide_evenly_leaves_no_window_empty() -> None:
    schedule = tiered(epochs=3, steps=10, first=23, length=7)
    windows = [window(schedule, "late", j) for j in range(3)]
    assert windows == [(23, 2), (25, 2), (27, 3)]
    plan(ids(10), schedule, ["late"] * 10)


def test_a_tier_after_the_epochs_holds_its_rows_and_a_share_of_the_others() -> None:
    names, schedule = ids(2000), tiered(first=100, length=60, rehearsal=0.25, peak=0.5)
    sources = ["late" if i % 4 == 0 else "main" for i in range(2000)]
    steps, late = plan(names, schedule, sources), set(names[::4])
    assert (len(steps), schedule.steps) == (160, 160)
    assert not any(name in late for step in steps[:100] for name in step)
    tail = [name for step in steps[100:] for name in step]
    again = [name for name in tail if name not in late]
    assert sorted(name for name in tail if name in late) == sorted([*late, *late])
    assert len(again) == len(set(again))
    assert 300 < len(again) < 450  # a quarter of 1,500, drawn by a hash of each one's id
    gone = set(names[:100])
    kept = [(name, source) for name, source in zip(names, sources, strict=True) if name not in gone]
    stay = plan([name for name, _ in kept], schedule, [source for _, source in kept])
    assert stay == [[name for name in step if name not in gone] for step in steps]


def test_rows_of_a_low_weight_are_fed_in_that_share_and_move_nobody() -> None:
    names, schedule = ids(3000), tiered(epochs=4, steps=20, first=80, length=40, rehearsal=0.5)
    sources = ["late" if i % 5 == 0 else "main" for i in range(3000)]
    weights = np.where(np.arange(3000) % 3 == 0, 0.25, 1.0)
    whole, fed = plan(names, schedule, sources), plan(names, schedule, sources, weights)
    light = set(names[::3])
    assert [[n for n in step if n not in light] for step in fed] == [
        [n for n in step if n not in light] for step in whole
    ]
    counted = [sum(name in light for step in steps for name in step) for steps in (whole, fed)]
    assert counted[1] / counted[0] == pytest.approx(0.25, abs=0.02)
    assert all(set(few) <= set(many) for few, many in zip(fed, whole, strict=True))
    stay = np.arange(3000) % 7 > 0
    kept = [name for name, yes in zip(names, stay, strict=True) if yes]
    of = [source for source, yes in zip(sources, stay, strict=True) if yes]
    gone = set(names) - set(kept)
    assert plan(kept, schedule, of, weights[stay]) == [[n for n in step if n not in gone] for step in fed]
    assert plan(names, schedule, sources, np.ones(3000)) == whole
    assert [len(step) for step in plan(names, schedule, sources, np.zeros(3000))] == [0] * 120


def test_two_tiers_in_turn() -> None:
    tiers = [Tier(sources=(s,), rehearsal=1.0, first_step=f, steps=10) for s, f in (("a", 20), ("b", 30))]
    schedule = Schedule(key="ab", epochs=2, steps_per_epoch=10, divisor=1.0, tiers=tuple(tiers))
    names = ids(90)
    steps = plan(names, schedule, ["a"] * 30 + ["b"] * 30 + ["c"] * 30)
    a, b, c = (set(names[start : start + 30]) for start in (0, 30, 60))
    fed = [{name for step in steps[low:high] for name in step} for low, high in ((0, 20), (20, 30), (30, 40))]
    assert fed == [c, a | c, a | b | c]
    again = replace(schedule, tiers=(tiers[0], replace(tiers[1], sources=("a",))))
    with pytest.raises(Unmet, match="two tiers"):
        plan(names, again, ["a"] * 90)
    with pytest.raises(Unmet, match="from step 30 on"):
        plan(names, replace(schedule, tiers=(tiers[0], replace(tiers[1], first_step=25))), ["c"] * 90)


@pytest.mark.parametrize(("shape", "middle"), [("linear", 50 / 90), ("cosine", 0.5868), ("constant", 1.0)])
def test_the_rate_rises_and_falls_once_or_once_more_in_a_tier(shape: str, middle: float) -> None:
    schedule = tiered(first=100, length=50, peak=0.5)
    rates = [rate(schedule, shape, 10, step) for step in range(151)]
    assert rates[0] == rates[100] == 0
    assert (rates[5], rates[10], rates[105], rates[110]) == (0.5, 1.0, 0.25, 0.5)
    assert rates[50] == pytest.approx(middle, abs=1e-3)
    assert (rates[150] == 0) == (shape != "constant")
    once = [rate(tiered(first=100, length=50), shape, 10, step) for step in range(150)]
    assert once[100] != 0
    assert max(rates[100:]) == 0.5


def test_another_key_is_another_plan() -> None:
    one = Schedule(key="aa", epochs=1, steps_per_epoch=20, divisor=1.0)
    other = Schedule(key="ab", epochs=1, steps_per_epoch=20, divisor=1.0)
    assert plan(ids(50), one) != plan(ids(50), other)


@pytest.mark.parametrize(
    ("schedule", "rows"),
    [
        (tiered(first=-1), 3),
        (tiered(sources=()), 3),
        (tiered(rehearsal=1.5), 3),
        (tiered(peak=0.0), 3),
        (tiered(length=1), 3),
        (Schedule(key="a", epochs=0, steps_per_epoch=1, divisor=1.0), 3),
        (Schedule(key="a", epochs=1, steps_per_epoch=1, divisor=float("nan")), 3),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused(schedule: Schedule, rows: int) -> None:
    with pytest.raises(Unmet):
        plan(ids(rows), schedule, ["late"] * rows)


def test_repeated_ids_and_tiers_without_sources_are_refused() -> None:
    with pytest.raises(Unmet, match="more than once"):
        plan(ids(3) * 2, Schedule(key="a", epochs=1, steps_per_epoch=2, divisor=1.0))
    with pytest.raises(Unmet, match="sources"):
        plan(ids(3), tiered())


def test_a_hundred_thousand_rows_are_planned_in_seconds() -> None:
    names = ids(100_000)
    started = time.process_time()
    steps = plan(names, Schedule(key="a", epochs=3, steps_per_epoch=6250, divisor=100.0))
    assert time.process_time() - started < 10
    assert sum(map(len, steps)) == 300_000
