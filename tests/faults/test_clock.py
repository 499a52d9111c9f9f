"""A clock that jumps: order is the chain's, no lease comes back to life, no withdrawal is passed over."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import whence
from whence import feedback, govern
from whence.govern.rights import states
from whence.records import Prompt, Ref, RunReport
from whence.serve import leases, state
from whence.store import Store, verify

pytestmark = pytest.mark.fault
DAY, DECADE = timedelta(days=1), timedelta(days=3652)
LEASE_S = 60.0


class Jumping:
    """Goes on by a second a look, and now and then a day back or ten years ahead."""

    def __init__(self, seed: int) -> None:
        self.now, self.chance, self.jumps = datetime(2026, 11, 21, tzinfo=UTC), random.Random(seed), 0

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        if self.chance.random() < 0.2:
            self.jumps += 1
            self.now += self.chance.choice([-DAY, DECADE, -DECADE, timedelta(seconds=-3)])
        return self.now


@pytest.mark.parametrize("seed", range(4))
def test_work_under_a_jumping_clock_is_recorded_in_order(project: Path, seed: int) -> None:
    clock = Jumping(seed)
    with whence.open(project, clock=clock, actor="ada@example.org") as w:
        store = w.store
        said = {}
        for turn in range(6):
            about, what = f"source:{('tickets', 'derived')[turn % 2]}", ("withdraw", "grant")[turn // 2 % 2]
            govern.change(store, about, what)
            said[about] = {"withdraw": "withdrawn", "grant": "granted"}[what]
            feedback.send(store, "chatcmpl-0-True", surface="api", actor="user", intent="rating", value=0.5)
            w.run("curate")
        assert clock.jumps > 3
        assert said.items() <= states(store).items()
        assert [event.seq for event in store.events()] == list(range(1, store.head()[0] + 1))
        assert all(report.duration_s >= 0 for _, report in store.all(RunReport))
        assert w.verify() == []
        for back in (DAY, DECADE):
            moment = clock.now - back
            assert all(event.recorded_at <= moment for event in store.events(as_of=moment))
            assert set(states(store, as_of=moment).values()) <= {"granted", "withdrawn"}


def test_a_grant_recorded_in_a_wrong_future_gives_way_to_a_later_withdrawal(store: Store, clock: Any) -> None:
    clock.now += DECADE
    govern.change(store, "source:tickets", "grant")
    govern.change(store, "source:other", "withdraw")
    clock.now -= DECADE
    govern.change(store, "source:tickets", "withdraw")
    assert states(store) == {"source:tickets": "withdrawn", "source:other": "withdrawn"}


def test_what_was_valid_stays_valid_when_the_clock_is_set_back(store: Store, clock: Any) -> None:
    yesterday = clock.now - DAY
    govern.change(store, "source:tickets", "withdraw", valid_at=yesterday)
    govern.change(store, "source:other", "withdraw")
    govern.change(store, "source:later", "withdraw", valid_at=clock.now + DAY)
    clock.now -= 2 * DAY
    assert states(store) == {"source:tickets": "withdrawn", "source:other": "withdrawn"}
    clock.now += 4 * DAY
    assert states(store)["source:later"] == "withdrawn"


@pytest.fixture
def deployed(store: Store) -> Callable[[], Ref]:
    """Starts a deployment; of its release there is a name only."""
    release = store.put(Prompt(template="bare", text=""))
    return lambda: leases.start(store, release, "http://127.0.0.1:1", LEASE_S)


def test_no_jump_brings_a_dead_deployment_back(store: Store, clock: Any, deployed: Callable[[], Ref]) -> None:
    dead = deployed()
    assert state(store, dead) == "live"
    clock.skip(seconds=2 * LEASE_S)
    assert state(store, dead) == "unknown"
    store.append("something.else", "x")
    for back in (timedelta(seconds=2 * LEASE_S), DAY, DECADE):
        before, clock.now = clock.now, clock.now - back
        assert state(store, dead) == "unknown", f"{back} back and it lives"
        clock.now = before
    clock.now += DECADE
    assert state(store, dead) == "unknown"


def test_a_live_deployment_is_live_again_at_its_next_sign(
    store: Store, clock: Any, deployed: Callable[[], Ref]
) -> None:
    living = deployed()
    for jump in (-DAY, DECADE, -DECADE):
        clock.now += jump
        assert state(store, living) == "unknown"
        leases.seen(store, [living])
        assert state(store, living) == "live"
    clock.now -= timedelta(seconds=3)
    assert state(store, living) == "live", "a clock is set back by seconds every day"
    leases.end(store, [living])
    for jump in (-DAY, DECADE, -DECADE):
        clock.now += jump
        assert state(store, living) == "ended"
    assert verify(store) == []
