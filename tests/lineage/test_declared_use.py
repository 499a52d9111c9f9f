"""What a licence says of the declared use decides whether a changed licence is a breach, and what never was allowed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from world import PRINT, freeze, model

from whence.govern import Told, blocked, change, declare, tell
from whence.govern.solve import licences
from whence.lifecycle.blast import blast_radius
from whence.records import Base, Snapshot, Use
from whence.store import Store

AT = datetime(2026, 3, 14, 22, 28, tzinfo=UTC)


@pytest.fixture
def mine(store: Store, take: Callable[..., Any]) -> Store:
    """Ten rows around a change of licence, and ten of another source, all fed to one model."""
    rows = [{"id": str(n), "text": f"row {n}", "at": (AT + timedelta(hours=n - 5)).isoformat()} for n in range(10)]
    take(rows, "open", claims={"licence": "ODC-By-1.0"}, id="id", collected_at="at")
    take(
        [{"id": str(n), "text": f"other {n}"} for n in range(10)], "closed", claims={"licence": "CC-BY-NC-4.0"}, id="id"
    )
    base = store.put(Base(name="base", location="./base", fingerprint=PRINT))
    everything = store.index().sets["source"].union(["open", "closed"])
    model(store, "all", base, freeze(store, "all", everything), everything)
    return store


def commercial(store: Store, yes: bool) -> None:
    declare(store, "desk", Use(name="desk", commercial=yes, distribute="service"))


def test_later_rows_are_in_breach_and_earlier_ones_for_review(mine: Store) -> None:
    tell(mine, [Told(what="change", about="source:open", licence="CC-BY-NC-4.0", valid_at=AT, reach="new")])
    commercial(mine, True)
    found = blocked(mine)
    assert (set(found.breach), set(found.review)) == (set(range(5, 10)), set(range(5)))
    tell(mine, [Told(what="change", about="source:open", licence="CC-BY-NC-4.0", valid_at=AT, reach="all")])
    assert set(blocked(mine).breach) == set(range(10))
    commercial(mine, False)
    assert not blocked(mine).breach | blocked(mine).review


def test_what_never_was_allowed(mine: Store) -> None:
    assert blast_radius(mine).rows == 0  # nobody said what it is for
    before = mine.clock()
    commercial(mine, True)
    assert blast_radius(mine, as_of=before).rows == 0
    blast = blast_radius(mine)
    assert (set(blast.direct), [one.level for one in blast.adapters]) == (set(range(10, 20)), ["breach"])
    assert set(blast.because) == {"licence:CC-BY-NC-4.0"}
    change(mine, "source:open", "withdraw")
    assert blast_radius(mine, [("source", "open")]).because == {}  # another source's licence is not why
    change(mine, "source:open", "reinstate")
    commercial(mine, False)
    assert blast_radius(mine).rows == 0


def test_a_freer_licence_clears_nothing_until_a_person_says_so(mine: Store) -> None:
    commercial(mine, True)
    tell(mine, [Told(what="change", about="source:closed", licence="CC-BY-4.0", reach="all")])
    assert set(blast_radius(mine).direct) == set(range(10, 20))
    tell(mine, [Told(what="grant", about="source:closed", licence="CC-BY-4.0")])
    assert blast_radius(mine).rows == 0


def test_the_check_solves_what_changed_as_well(mine: Store) -> None:
    commercial(mine, True)
    [(snapshot, _)] = mine.all(Snapshot)
    declare(mine, "all", Use(name="all", commercial=True, distribute="service"))

    def said() -> dict[str, tuple[str, float | None]]:
        return {f.message.split(":")[0]: (f.verdict, f.statistic) for f in licences(mine, snapshot)}

    assert said() == {"CC-BY-NC-4.0": ("fail", 10), "ODC-By-1.0": ("pass", 10)}
    tell(mine, [Told(what="change", about="source:open", licence="CC-BY-NC-4.0", valid_at=AT, reach="new")])
    tell(mine, [Told(what="grant", about="source:closed", licence="CC-BY-4.0", valid_at=AT)])
    assert said() == {
        "CC-BY-NC-4.0, since 2026-03-14": ("fail", 5),
        "CC-BY-NC-4.0, collected before 2026-03-14": ("abstain", 5),
        "CC-BY-4.0, since 2026-03-14": ("pass", 10),
        "ODC-By-1.0": ("pass", 10),
    }
