"""From rows to what stands on them, and back; and what a withdrawn right reaches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from world import World, build

from whence.govern import change, rows_of, withdrawn, withdrawn_rows
from whence.lineage import blast_radius, find, walk
from whence.records import NotFound, Unmet
from whence.store import Store, row_set, verify


def counts(touched: Any) -> dict[str, int]:
    return {ref: one.rows for ref, one in touched.items()}


@pytest.fixture
def world(store: Store, take: Callable[..., Any]) -> World:
    return build(store, take)


def test_the_world_is_as_it_says(world: World) -> None:
    store = world.store
    assert store.committed() == 1000
    assert len(store.index().sets["subject"].names()) == 50
    assert (len(world.direct), len(world.derived)) == (12, 30)
    assert not world.direct & world.derived
    assert verify(store) == []


def test_who_withdraws_reaches_exactly_what_was_made_of_them(world: World, clock: Any) -> None:
    """12 rows and 30 made from them at one and two hops; models m2 and m3; only m3 is deployed. m4 was trained on a
    snapshot that holds some of the rows, which were not fed to it."""
    store, seventeen = world.store, f"subject:{world.person(17)}"
    before = clock.now
    clock.skip(days=1)
    change(store, seventeen, "withdraw", reason="a letter")
    assert withdrawn_rows(store) == world.direct | world.derived
    assert len(withdrawn_rows(store)) == 42
    blast = blast_radius(store, rows_of(store, "subject", [world.person(17)]))
    assert (blast.direct, blast.derived) == (world.direct, world.derived)
    assert counts(blast.snapshots) == {world.snapshots["s2"]: 12, world.snapshots["s3"]: 30}
    assert counts(blast.adapters) == {world.adapters["m2"]: 12, world.adapters["m3"]: 30}
    assert blast.releases == {world.releases["m3"]: world.adapters["m3"]}
    assert blast.deployments == {world.deployments["m3"]: world.releases["m3"]}
    assert not withdrawn_rows(store, as_of=before)
    assert withdrawn_rows(store, as_of=clock.now) == world.direct | world.derived


def test_an_unrelated_person_is_not_reached(world: World) -> None:
    change(world.store, f"subject:{world.person(17)}", "withdraw")
    blast = blast_radius(world.store, rows_of(world.store, "subject", [world.person(40)]))
    assert len(blast.direct) == 12
    assert not (blast.direct | blast.derived) & withdrawn_rows(world.store)
    assert not rows_of(world.store, "subject", ["p17"])


def test_who_grants_again_is_not_withdrawn(world: World, clock: Any) -> None:
    store, someone = world.store, f"subject:{world.person(20)}"
    change(store, someone, "withdraw")
    at = clock.now
    clock.skip(days=1)
    change(store, someone, "grant")
    assert not withdrawn_rows(store)
    assert withdrawn_rows(store, as_of=at)
    late = clock.now - timedelta(days=10)
    change(store, someone, "withdraw", valid_at=late)  # recorded later, but true before the grant
    assert not withdrawn_rows(store)
    change(store, someone, "withdraw", valid_at=clock.now + timedelta(days=5))
    assert not withdrawn_rows(store)
    clock.skip(days=6)
    assert withdrawn_rows(store)


def test_scopes_of_sources_and_licences(world: World) -> None:
    store = world.store
    notes = blast_radius(store, rows_of(store, "source", ["notes"]))
    assert (len(notes.direct), len(notes.derived)) == (300, 50)
    assert set(notes.adapters) == {world.adapters[m] for m in ("m1", "m3")}
    assert rows_of(store, "licence", ["MIT"]) == notes.direct
    assert set(notes.deployments) == set(world.deployments.values())
    change(store, "licence:MIT", "withdraw")
    assert withdrawn_rows(store) == notes.direct | notes.derived
    change(store, "source:tickets", "withdraw")
    assert len(withdrawn_rows(store)) == 1000


def test_the_check_of_a_snapshot_names_what_must_not_be_trained_on(world: World) -> None:
    store = world.store
    assert [f.verdict for s in world.snapshots.values() for f in withdrawn(store, s)] == ["pass"] * 3
    change(store, f"subject:{world.person(17)}", "withdraw")
    found = {name: next(iter(withdrawn(store, ref))) for name, ref in world.snapshots.items()}
    assert {n: f.verdict for n, f in found.items()} == {"s1": "pass", "s2": "fail", "s3": "fail"}
    assert [found[n].statistic for n in ("s1", "s2", "s3")] == [0.0, 12.0, 30.0]
    assert store.get_set(found["s2"].rows) == world.direct
    assert list(withdrawn(store, world.adapters["m1"])) == []


def test_a_decision_about_rights_needs_a_person(world: World) -> None:
    nobody = Store.open(world.store.root)
    with pytest.raises(Unmet, match="WHENCE_ACTOR"):
        change(nobody, "source:tickets", "withdraw")
    assert not withdrawn_rows(world.store)


# -- walking -----------------------------------------------------------------------------------------------------------


def kinds(world: World, start: str | int, way: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in walk(world.store, start, way):
        found[node.kind] = found.get(node.kind, 0) + 1
        assert node.label
    return found


def test_from_a_row_down_to_the_traces(world: World) -> None:
    row = world.store.find_rows("tickets:t0")[0]
    nodes = walk(world.store, row, "down")
    assert [n.depth for n in nodes] == sorted(n.depth for n in nodes)
    digests = {n.digest for n in nodes}
    assert {world.snapshots["s2"], world.snapshots["s3"], world.adapters["m2"], world.adapters["m3"],
            world.releases["m3"], world.deployments["m3"], world.traces["m3"]} <= digests  # fmt: skip
    assert not digests & {world.snapshots["s1"], world.adapters["m1"], world.traces["m1"]}
    made = {n.label for n in nodes if n.kind == "Row"}
    assert made == {"summaries:s0", "paraphrases:p0", "paraphrases:p1"}
    assert not any(n.kind in ("RunReport", "Step") for n in nodes)


def test_from_a_trace_up_to_the_base_and_the_snapshot(world: World) -> None:
    found = kinds(world, world.traces["m1"], "up")
    assert found["Snapshot"] == found["Base"] == found["Deployment"] == found["Release"] == found["Adapter"] == 1
    assert found["Closure"] == found["Verdict"] == found["Gate"] == found["Suite"] == 1
    upwards = {n.digest for n in walk(world.store, world.traces["m1"], "up")}
    assert world.snapshots["s1"] in upwards
    assert world.snapshots["s3"] not in upwards


def test_from_a_row_up_to_the_rows_and_sources_it_was_made_from(world: World) -> None:
    row = world.store.find_rows("paraphrases:p5")[0]
    nodes = walk(world.store, row, "up")
    assert {n.label for n in nodes if n.kind == "Row"} == {"summaries:s2", "tickets:t2", "notes:n1"}
    assert {n.label.split()[0] for n in nodes if n.kind == "Source"} == {"paraphrases", "summaries", "tickets", "notes"}


def test_things_are_found_by_any_of_their_names(world: World) -> None:
    store = world.store
    row = store.find_rows("notes:n1")[0]
    assert find(store, "notes:n1") == find(store, store.row(row).id) == find(store, store.row(row).id[5:15]) == row
    assert find(store, "live-m3") == find(store, "m3@1") == find(store, world.releases["m3"][7:19])
    assert find(store, "chatcmpl-m1") == world.traces["m1"]
    assert find(store, "s2") == world.snapshots["s2"]
    for text in ("nobody", "notes:none", "ffffff0123"):
        with pytest.raises(NotFound):
            find(store, text)
    again = store.put(store.get(world.snapshots["s2"]).__class__(**{
        **{f: getattr(store.get(world.snapshots["s2"]), f) for f in ("name", "root", "set", "steps", "parents")},
        "rows": 1}))  # fmt: skip
    assert find(store, "s2") == again  # the newest of that name
    adapter = store.put(store.get(world.adapters["m1"]).__class__(**{
        **{f: getattr(store.get(world.adapters["m1"]), f) for f in
           ("closure", "run", "weights", "config", "base", "location", "bytes")}, "name": "s2"}))  # fmt: skip
    assert find(store, "s2") == adapter  # of two kinds, what was made of the other


def test_a_subject_that_nobody_withdrew_twice(world: World) -> None:
    """Rows made from each other and from two people: withdrawn when one of them withdraws."""
    store = world.store
    other = store.row(store.find_rows("tickets:t30")[0]).subject
    change(store, f"subject:{other}", "withdraw")
    reached = withdrawn_rows(store)
    assert row_set(store.find_rows("summaries:s10")) <= reached
    assert row_set(store.find_rows("paraphrases:p20") + store.find_rows("paraphrases:p21")) <= reached
    assert not reached & (world.direct | world.derived)
