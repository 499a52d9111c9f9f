"""System 26, its impact half, as written: 6 sources, 3 models, one distilled from another; a takedown on day 200."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from world import freeze, model, release

from whence.govern import Told, tell, withdrawn
from whence.lifecycle.blast import blast_radius
from whence.lifecycle.live import live
from whence.records import Adapter, Base, Closure, Fingerprint, Ref
from whence.serve.leases import end, start
from whence.store import Store, row_set, verify

DAY = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = ("a", "b", "c", "d", "e", "f")


class Shop:
    """Model A was fed sources a, b, c; B was distilled from it on d and on what A wrote; X was fed e and f."""

    def __init__(self, store: Store, take: Callable[..., Any], clock: Any) -> None:
        self.store = store
        clock.now = DAY
        for name in SOURCES:
            rows = [{"id": f"{name}{n}", "text": f"{name} says {n}"} for n in range(30)]
            take(rows, name, claims={"licence": "CC-BY-4.0"}, id="id")
        sets = store.index().sets["source"]
        rows = {name: sets.get(name) for name in SOURCES}
        base = store.put(
            Base(
                name="base",
                location="./base",
                fingerprint=Fingerprint(weights="b3:0", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3"),
            )
        )
        everything = row_set(range(1000))
        self.snapshots = {"A": freeze(store, "A", rows["a"] | rows["b"] | rows["c"])}
        self.adapters = {"A": model(store, "A", base, self.snapshots["A"], everything)}
        self.releases = {"A": release(store, "A", base, self.adapters["A"])}
        written = [{"id": f"w{n}", "text": f"A wrote {n}", "by": "A@1"} for n in range(12)]
        take(written, "written", claims={"licence": "CC-BY-4.0"}, id="id", generator="by")
        self.written = store.index().sets["source"].get("written")
        for name, mine in (("B", rows["d"] | self.written), ("X", rows["e"] | rows["f"])):
            self.snapshots[name] = freeze(store, name, mine)
            self.adapters[name] = model(store, name, base, self.snapshots[name], everything)
            self.releases[name] = release(store, name, base, self.adapters[name])
        self.deployments = {n: start(store, r, f"http://{n}", 1e9, DAY) for n, r in self.releases.items()}
        clock.now = DAY + timedelta(days=200)

    def names(self, refs: Any) -> set[str]:
        known = {ref: name for group in (self.adapters, self.deployments) for name, ref in group.items()}
        return {known[ref] for ref in refs}


@pytest.fixture
def shop(store: Store, take: Callable[..., Any], clock: Any) -> Shop:
    return Shop(store, take, clock)


def test_a_takedown_reaches_the_model_and_its_student(shop: Shop, clock: Any, tmp_path: Path) -> None:
    store, before = shop.store, clock.now
    notice = "sha256:" + "0" * 64
    tell(store, [Told(what="withdraw", about="source:c", evidence=notice, reason="notice 17", said_by="the owner")])
    blast = blast_radius(store)
    assert shop.names(one.id for one in blast.adapters) == {"A", "B"}
    assert shop.names(one.deployment for one in blast.live) == {"A", "B"}
    assert (blast.rows, len(blast.mediated), blast.outcome) == (30, 12, "fail")
    a, b = blast.adapters
    assert (a.level, a.rows, a.mediated, dict(a.through)) == ("breach", 30, 0, {shop.snapshots["A"]: "fed"})
    assert (b.level, b.rows, b.mediated, dict(b.through)) == ("mediated", 0, 12, {shop.adapters["A"]: "wrote"})
    assert blast_radius(store, as_of=before, known_by=before).rows == 0
    assert verify(store) == []


def test_a_model_that_is_over_is_history(shop: Shop) -> None:
    store = shop.store
    end(store, [shop.deployments["A"]])
    tell(store, [Told(what="withdraw", about="source:c")])
    live = blast_radius(store)
    assert shop.names(one.deployment for one in live.deployments) == {"B"}
    assert shop.names(one.id for one in live.adapters) == {"A", "B"}  # B stands on what A wrote
    assert live.outcome == "abstain"
    end(store, [shop.deployments["B"]])
    assert blast_radius(store).adapters == ()
    assert shop.names(one.id for one in blast_radius(store, history=True).adapters) == {"A", "B"}


def test_a_change_that_only_looks_ahead_is_for_review(shop: Shop, clock: Any) -> None:
    store = shop.store
    tell(store, [Told(what="change", about="source:c", licence="CC-BY-NC-4.0", reach="new")])
    blast = blast_radius(store)
    first = blast.adapters[0]
    assert (first.name, first.level, first.review) == ("A", "review", 30)
    assert blast.outcome == "abstain"
    assert "X" not in shop.names(one.id for one in blast.adapters)


def test_distilled_and_merged_without_a_row(shop: Shop) -> None:
    """A student that was trained on A's distributions, and a merge of A with X."""
    store = shop.store
    source = store.get(store.get(shop.adapters["X"], Adapter).closure, Closure)
    made: dict[str, Ref] = {}
    for name, more in {
        "S": {"teachers": (shop.adapters["A"],)},
        "M": {"composed_of": tuple(shop.adapters.values())},
    }.items():
        closure = Closure(
            base=source.base, snapshot=None, recipe=source.recipe, code_commit=None, code_clean=None, environment=None,
            **more,
        )  # fmt: skip
        adapter = store.get(shop.adapters["X"], Adapter)
        made[name] = store.put(
            Adapter(
                name=name, closure=store.put(closure), run=adapter.run, weights=f"b3:{name}", config="sha256:c",
                base=None, location=f"adapters/{name}", bytes=1,
            )
        )  # fmt: skip
    tell(store, [Told(what="withdraw", about="source:c")])
    found = {one.id: one for one in blast_radius(store, history=True).adapters}
    assert (found[made["S"]].level, dict(found[made["S"]].through)) == ("mediated", {shop.adapters["A"]: "distilled"})
    assert found[made["M"]].level == "breach"
    assert found[made["M"]].through[shop.adapters["A"]] == "composed"
    tell(store, [Told(what="dispute", about="source:c")])  # what is merged from a model for review is for review
    assert {one.id: one.level for one in blast_radius(store, history=True).adapters}[made["M"]] == "review"


def test_the_gate_stops_what_is_withdrawn_and_passes_the_rest(shop: Shop) -> None:
    store = shop.store
    tell(store, [Told(what="withdraw", about="source:c")])
    verdicts = {name: [f.verdict for f in withdrawn(store, ref)] for name, ref in shop.snapshots.items()}
    assert verdicts == {"A": ["fail"], "B": ["pass"], "X": ["pass"]}


def test_what_answers_and_under_which_rights(shop: Shop, clock: Any) -> None:
    store = shop.store
    assert {one.release: (one.rights, one.rows) for one in live(store)} == {
        "A@1": ("pass", 90),
        "B@1": ("pass", 42),
        "X@1": ("pass", 60),
    }
    when = clock.now + timedelta(days=30)
    tell(store, [Told(what="withdraw", about="source:c"), Told(what="withdraw", about="source:e", valid_at=when)])
    found = live(store)
    assert [(one.release, one.rights, one.barred) for one in found] == [
        ("A@1", "breach", 30),
        ("B@1", "mediated", 0),
        ("X@1", "pass", 0),
    ]
    assert [one.until for one in found] == [None, None, when]
    assert found[2].licences == {"CC-BY-4.0": 60}
    end(store, shop.deployments.values())
    assert live(store) == []
