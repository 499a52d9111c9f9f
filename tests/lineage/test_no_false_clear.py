"""What must not read as clear: a right that is to end, a licence typed in another case, a person nobody knows, data
nobody knows, a use that was changed in the file, a question about a time in which the record did not know yet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from world import PRINT, World, build

import whence
from whence.govern import Book, Told, change, tell
from whence.lifecycle.blast import blast_radius
from whence.records import Adapter, Base, Closure, Deployment, NotFound, Release, Run
from whence.serve import leases
from whence.store import Store


@pytest.fixture
def world(store: Store, take: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return build(store, take)


@pytest.fixture
def w(world: World, clock: Any) -> Any:
    with whence.open(world.store.root, actor="ann@example.org", clock=clock) as session:
        yield session


def test_a_right_that_is_to_end_ends_whatever_is_granted_until_then(w: whence.Session, clock: Any) -> None:
    when = clock.now + timedelta(days=100)
    made = w.rights.withdraw(source="notes", valid_at=when)
    assert made.begins == when
    w.rights.grant(source="notes")
    assert {one.until for one in w.ask.live() if one.until} == {when}
    assert w.ask.blast_radius(source="notes", as_of=when + timedelta(days=1), known_by=clock.now).outcome == "fail"
    w.rights.reinstate(source="notes")
    assert not any(one.until for one in w.ask.live())
    assert w.ask.blast_radius(source="notes", as_of=when + timedelta(days=1), known_by=clock.now).outcome == "pass"


def test_what_was_lifted_can_be_withdrawn_from_the_same_day_on(store: Store, clock: Any) -> None:
    when = clock.now + timedelta(days=3)
    for what, state in (("withdraw", "withdrawn"), ("reinstate", "granted"), ("withdraw", "withdrawn")):
        tell(store, [Told(what=what, about="source:s", valid_at=when)])  # type: ignore[arg-type]
        standing = Book.of(store).standing("source:s", at=when + timedelta(days=1))
        assert standing is not None
        assert standing.state == state


def test_a_licence_is_the_same_in_any_case(world: World, says: Callable[..., Any]) -> None:
    name = next(name for name in world.store.index().sets["licence"].names() if name != name.lower())
    count = len(world.store.index().sets["licence"].get(name))
    reached = says("ask", "blast-radius", "--licence", name.lower(), "--what-if", "--json", code=2)
    assert (reached["asked"], reached["rows"]["direct"]["count"]) == ([f"licence:{name}"], count)
    says("rights", "withdraw", "--licence", name.lower())
    assert says("ask", "blast-radius", "--json", code=2)["rows"]["direct"]["count"] == count
    text = says("rights", "withdraw", "--licence", "apache-2.0")
    assert "no row has licence:Apache-2.0" in text


def test_licences_in_another_case_stay_out_as_well(store: Store, take: Callable[..., Any]) -> None:
    change(store, "licence:CC-BY-NC-4.0", "withdraw")
    report = take(
        [{"id": "1", "text": "a", "l": "cc-by-nc-4.0"}, {"id": "2", "text": "b", "l": "MIT"}], id="id", licence="l"
    )
    assert report.facts["quarantined"] == {"withdrawn": 1}


def test_a_person_whom_nobody_knows_is_not_clear(world: World, w: whence.Session, says: Callable[..., Any]) -> None:
    with pytest.raises(NotFound, match="nothing is known of p71"):
        w.ask.blast_radius(subject="p71")
    says("ask", "blast-radius", "--subject", "p71", "--what-if", code=1)
    w.rights.withdraw(subject="p71")
    assert "withdrawn since" in says("ask", "blast-radius", "--subject", "p71")


def test_a_live_model_of_which_nobody_knows_the_data_is_not_clear(world: World, says: Callable[..., Any]) -> None:
    store = world.store
    assert "nobody knows" not in says("ask", "blast-radius")
    base = store.put(Base(name="b", location="b", fingerprint=PRINT))
    run = store.put(Run(activity="adopt", used=(base,), inputs={"n": "1"}))
    closure = Closure(base=base, snapshot=None, recipe=None, code_commit=None, code_clean=None, environment=None)
    found = Adapter(name="found", closure=store.put(closure), run=run, weights="b3:found", config="sha256:c", base=None,
                    location="x", bytes=1)  # fmt: skip
    release = store.put(Release(name="found@1", adapter=store.put(found), verdict=None))
    leases.declare(store, release, "https://example.org/v1", store.clock())
    assert "live, and nobody knows from which rows: found@1" in says("ask", "blast-radius", code=4)
    assert [one["rights"] for one in says("ask", "live", "--json", code=4)] == ["unknown", "pass", "pass"]


def test_a_deployment_that_begins_later_is_not_live_yet(world: World, clock: Any) -> None:
    store, begins = world.store, clock.now + timedelta(days=30)
    before = leases.running(store)
    release = next(ref for ref, _ in store.all(Release))
    later = leases.declare(store, release, "https://example.org/v1", begins)
    assert leases.running(store) == before
    assert leases.running(store, begins + timedelta(hours=1), clock.now) == before | {later}
    clock.skip(days=31)
    assert later in leases.running(store)
    assert isinstance(store.get(later), Deployment)


def test_a_question_about_a_time_in_which_the_record_did_not_know(world: World, w: whence.Session, clock: Any) -> None:
    """Rows, models and deployments of October that were recorded in November."""
    then, store = clock.now - timedelta(days=20), world.store
    release = next(ref for ref, one in store.all(Release) if one.name == "m3@1")
    since = then - timedelta(days=5)
    leases.declare(store, release, "https://example.org/v1", since)
    known = w.ask.blast_radius(source="notes", what_if=True, as_of=then, known_by=clock.now)
    assert [one.endpoint for one in known.live] == []  # the model itself was made later
    now = w.ask.blast_radius(source="notes", what_if=True, as_of=clock.now, known_by=clock.now)
    assert "https://example.org/v1" in [one.endpoint for one in now.live]
    assert w.ask.blast_radius(source="notes", what_if=True, known_by=then).of == 0
    assert w.ask.blast_radius(as_of=then).outcome == "abstain"


def test_a_use_that_was_changed_in_the_file_counts_at_once(
    world: World, w: whence.Session, says: Callable[..., Any]
) -> None:
    file = Path("whence.toml")
    head = '[project]\nname = "desk"\nowner = "ann@example.org"\n[use]\ndistribute = "service"\n'
    file.write_text(head + "commercial = false\n")
    says("ask", "blast-radius")
    file.write_text(head + "commercial = true\n")
    w.ask.live()
    w.ask.live()
    assert [event.kind for event in world.store.events("use.*")] == ["use.declared", "use.declared"]


def test_the_cause_is_named_where_a_row_is_asked_for(world: World, says: Callable[..., Any]) -> None:
    says("rights", "withdraw", "--subject", "p17")
    row = next(iter(world.store.index().sets["subject"].get(world.person(17))))
    record = world.store.row(row)
    text = says("ask", "blast-radius", "--row", f"{record.source}:{record.record}", code=2)
    assert f"{world.person(17)}: withdrawn since" in text
    assert "nothing said of it holds" in " ".join(text.split())  # of the row alone


def test_what_holds_is_said_as_it_was_told(world: World, says: Callable[..., Any], clock: Any) -> None:
    says("rights", "change", "--source", "notes", "--to", "MIT")
    assert "source:notes: terms changed since" in says("ask", "blast-radius", "--source", "notes", code=4)
    says("rights", "withdraw", "--source", "tickets")
    says("rights", "reinstate", "--source", "tickets")
    assert "source:tickets: reinstated since" in says("ask", "blast-radius", "--source", "tickets")
    text = says("rights", "withdraw", "--source", "tickets", "--valid-at", "2099-01-01")
    assert "begins to hold on 2099-01-01 00:00 UTC" in text
    says("rights", "withdraw", "--subject", "p3", "--use", "evaluate")
    assert "withdrawn for evaluate since" in says("ask", "blast-radius", "--subject", "p3")
    says("rights", "reinstate", "--subject", "p3", "--use", "evaluate")


def test_an_event_that_does_not_hold_says_which_one_does(world: World, says: Callable[..., Any]) -> None:
    first = says("rights", "withdraw", "--subject", "p5", "--valid-at", "2026-10-01", "--json")["events"][0]
    made = says("rights", "grant", "--subject", "p5", "--valid-at", "2026-10-01", "--json")
    assert made["contradicted"] == []
    assert made["outranked"] == [[made["events"][0], first]]
    text = says("rights", "grant", "--subject", "p5", "--valid-at", "2026-10-01")
    assert f"does not hold: event {first} does" in text
    later = says("rights", "grant", "--subject", "p5", "--valid-at", "2026-10-05", "--json")["events"][0]
    older = says("rights", "withdraw", "--subject", "p5", "--valid-at", "2026-10-02", "--json")
    assert older["outranked"] == [[older["events"][0], later]]


def test_levels_are_told_apart_in_the_answer(world: World) -> None:
    change(world.store, "source:notes", "withdraw")
    change(world.store, "source:tickets", "dispute")
    blast = blast_radius(world.store)
    assert {one.level for one in blast.live} >= {"breach"}
