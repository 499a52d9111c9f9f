"""The schedule: removing rows never moves the others; tiers keep to their stretch."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whence.records import Schedule, Tier, Unmet
from whence.train import plan, step_of
from whence.train.plan import window

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
