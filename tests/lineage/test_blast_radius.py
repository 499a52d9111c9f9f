"""System 2, as written: 1,000 rows of 50 people from 4 sources, 3 snapshots, 4 models, 2 of them deployed. And the
rights that lead there: granted again, disputed, reinstated, changed, as of any pair of times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from world import World, build

from whence.govern import Book, Told, admitter, blocked, change, tell
from whence.lifecycle.blast import BlastRadius, blast_radius
from whence.records import Source, Unmet
from whence.store import Store, verify


@pytest.fixture
def world(store: Store, take: Callable[..., Any]) -> World:
    return build(store, take)


def seen(world: World, blast: BlastRadius) -> tuple[int, set[str], set[str]]:
    """(rows, models, live deployments), by the names of the world."""
    adapters = {ref: name for name, ref in world.adapters.items()}
    deployed = {ref: name for name, ref in world.deployments.items()}
    return (
        blast.rows,
        {adapters[one.id] for one in blast.adapters},
        {deployed[one.deployment] for one in blast.live},
    )


def test_who_revokes_reaches_42_rows_two_models_and_one_deployment(world: World, clock: Any) -> None:
    store, person = world.store, world.person(17)
    before = clock.now
    clock.skip(days=1)
    change(store, f"subject:{person}", "withdraw", reason="a letter")
    for asked in ([("subject", person)], []):
        blast = blast_radius(store, asked, history=True)
        assert seen(world, blast) == (42, {"m2", "m3"}, {"m3"})
        assert (len(blast.direct), len(blast.derived), blast.outcome) == (12, 30, "fail")
        assert seen(world, blast_radius(store, asked, as_of=before, history=True)) == (0, set(), set())
        assert seen(world, blast_radius(store, asked)) == (42, {"m3"}, {"m3"})  # what answers, and no more
    assert seen(world, blast_radius(store, [("subject", world.person(40))], history=True)) == (0, set(), set())
    assert len(blast_radius(store, [("subject", world.person(40))], what_if=True).direct) == 12
    [reached] = [one for one in blast.adapters if one.name == "m3"]
    assert (reached.rows, dict(reached.through)) == (30, {world.snapshots["s3"]: "fed"})
    assert [(one.name, dict(one.through)) for one in blast.releases] == [("m3@1", {reached.id: "released"})]
    assert verify(store) == []


def test_who_revoked_and_grants_again_is_not_listed(world: World, clock: Any) -> None:
    store, person = world.store, world.person(20)
    change(store, f"subject:{person}", "withdraw")
    then = clock.now
    clock.skip(days=1)
    change(store, f"subject:{person}", "grant")
    assert blast_radius(store, [("subject", person)], history=True).rows == 0
    assert blast_radius(store, history=True).rows == 0
    assert blast_radius(store, [("subject", person)], as_of=then, history=True).rows > 0


def test_any_pair_of_times(world: World, clock: Any) -> None:
    """A letter of March is recorded in May: in April nobody knew; of April we know now."""
    store, about = world.store, f"subject:{world.person(3)}"
    clock.now = datetime(2027, 4, 1, tzinfo=UTC)
    april = clock()
    clock.now = datetime(2027, 5, 1, tzinfo=UTC)
    change(store, about, "withdraw", valid_at=datetime(2027, 3, 1, tzinfo=UTC))
    asked = [("subject", world.person(3))]
    assert blast_radius(store, asked, as_of=april).rows == 0
    assert blast_radius(store, asked, as_of=april, known_by=clock()).rows > 0
    assert blast_radius(store, asked, as_of=april - timedelta(days=60), known_by=clock()).rows == 0


def test_revoked_before_collection_is_a_violation_of_ingest(store: Store, take: Callable[..., Any], clock: Any) -> None:
    tell(store, [Told(what="withdraw", about=f"subject:{store.keys.pseudonym('ada')}")])
    late, early = "2026-11-02T00:00:00Z", "2026-10-01T00:00:00Z"
    clock.skip(days=3)
    rows = [
        {"id": "1", "text": "before", "who": "ada", "at": early},
        {"id": "2", "text": "after", "who": "ada", "at": late},
        {"id": "3", "text": "somebody else", "who": "bob", "at": late},
        {"id": "4", "text": "no time", "who": "bob", "at": "yesterday"},
    ]
    report = take(rows, id="id", subject="who", collected_at="at")
    assert report.facts["quarantined"] == {"withdrawn": 1, "collected_after_withdrawal": 1, "value": 1}
    assert report.facts["rows"] == 1
    change(store, f"subject:{store.keys.pseudonym('ada')}", "grant")
    report = take(rows[:3], "again", id="id", subject="who", collected_at="at")
    assert report.facts["quarantined"] == {"collected_after_withdrawal": 1}  # granted since, not then
    assert [store.row(o).collected_at for o in store.get_set(report.set)] == [
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(2026, 11, 2, tzinfo=UTC),
    ]


def test_a_source_fetched_after_the_takedown(store: Store, clock: Any) -> None:
    change(store, "licence:MIT", "withdraw")
    when = clock.now + timedelta(days=1)
    clock.skip(days=2)
    source = Source(name="s", kind="scraped", location="s", consent_basis="consent", retrieved_at=when)
    assert admitter(store)(source, [None, None], ["MIT", "CC0-1.0"], [None, None]) == [
        "collected_after_withdrawal",
        None,
    ]


def test_collected_while_its_source_was_withdrawn(store: Store, take: Callable[..., Any], clock: Any) -> None:
    fields = {"id": "id", "collected_at": "at"}
    take([{"id": "1", "text": "first", "at": "2026-10-01T00:00:00Z"}], "notes", **fields)
    change(store, "source:notes", "withdraw")
    then = clock.now
    clock.skip(days=4)
    change(store, "source:notes", "reinstate")
    at = {"2": then - timedelta(days=1), "3": then + timedelta(days=1), "4": clock.now + timedelta(hours=1)}
    clock.skip(days=1)
    rows = [{"id": n, "text": f"text {n}", "at": f"{when:%Y-%m-%dT%H:%M:%SZ}"} for n, when in at.items()]
    report = take(rows, "notes", **fields)
    assert report.facts["quarantined"] == {"collected_after_withdrawal": 1}
    assert report.facts["rows"] == 2


def test_takedown_counter_notice_reinstatement(world: World) -> None:
    store = world.store
    change(store, "source:notes", "withdraw")
    taken = blast_radius(store)
    assert (taken.outcome, taken.rows) == ("fail", 350)
    change(store, "source:notes", "dispute")
    contested = blast_radius(store)
    assert (contested.outcome, contested.rows, len(contested.review)) == ("abstain", 350, 350)
    assert {one.level for one in contested.adapters} == {"review"}
    change(store, "source:notes", "reinstate")
    assert (blast_radius(store).rows, blast_radius(store).outcome) == (0, "pass")


def test_contradictory_events_of_one_time_are_kept_and_the_stricter_holds(world: World, clock: Any) -> None:
    store, about, when = world.store, f"subject:{world.person(9)}", clock.now + timedelta(days=1)
    clock.skip(days=2)
    for what in ("withdraw", "grant"):  # whichever is recorded last
        change(store, about, what, valid_at=when)  # type: ignore[arg-type]
        change(store, about, "withdraw" if what == "grant" else "grant", valid_at=when)
    standing = Book(store).standing(about)
    assert standing is not None
    assert standing.state == "withdrawn"
    assert standing.contradicted
    assert len(store.events("rights.*", about)) == 4
    assert verify(store) == []


def test_a_use_of_its_own(world: World) -> None:
    store, about = world.store, f"subject:{world.person(5)}"
    tell(store, [Told(what="withdraw", about=about, use="evaluate")])
    assert not blocked(store).breach
    assert blocked(store, use="evaluate").breach
    tell(store, [Told(what="withdraw", about=about, use="train")])
    assert blocked(store).breach


def test_a_licence_that_changed_is_for_review_where_rows_were_collected_before(
    store: Store, take: Callable[..., Any], clock: Any
) -> None:
    """Nobody declared a use: what the new licence allows is not known. Rows of before may stand under the old one."""
    at = datetime(2026, 3, 14, 22, 28, tzinfo=UTC)
    rows = [{"id": str(n), "text": f"row {n}", "at": (at + timedelta(hours=n - 5)).isoformat()} for n in range(10)]
    take(rows, "instructions", claims={"licence": "ODC-By-1.0"}, id="id", collected_at="at")
    tell(store, [Told(what="change", about="source:instructions", licence="CC-BY-NC-4.0", valid_at=at, reach="new")])
    found = blocked(store)
    assert (len(found.breach), len(found.review)) == (0, 10)
    assert [t.licence for t in found.why["source:instructions"].terms] == ["CC-BY-NC-4.0"]
    tell(store, [Told(what="grant", about="source:instructions", licence="ODC-By-1.0")])
    assert not blocked(store).breach | blocked(store).review  # a person has decided
    decided = Book(store).standing("source:instructions")
    assert decided is not None
    assert (decided.decided, [t.licence for t in decided.terms]) == (True, ["ODC-By-1.0"])


def test_a_decision_needs_a_person(tmp_path: Path, clock: Any) -> None:
    store = Store.open(tmp_path / "nobody", create=True, clock=clock)
    with pytest.raises(Unmet, match="nobody is named as the actor"):
        change(store, "source:s", "withdraw")
    tell(store, [Told(what="change", about="source:s", licence=None, reach="new")])  # anybody may see it
    store.close()
