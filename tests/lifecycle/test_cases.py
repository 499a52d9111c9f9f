"""A case from the request to its dossier: a person's rows are erased, the model is rebuilt without them and proven, the
old one retired; nothing of the text is left, by readers of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import whence
from lifecycle.matters import SECRET, Desk, spread
from store.finder import places
from whence.govern import signed
from whence.records import Conflict, Release, Unmet
from whence.serve.releases import Names, found, in_use
from whence.store import verify

pytestmark = pytest.mark.tiny


def test_an_erasure_from_the_request_to_the_dossier(desk: Desk, says: Callable[..., Any]) -> None:
    spread(desk)
    store, root = desk.store, desk.store.root
    before = places(root, SECRET)
    assert {place.split("/")[0] for place in before} >= {"rows.lance", "journal", "blobs"}
    said = says("rights", "case", "open", "erasure", "--subject", "p3", "--reason", "letter of 3 March")
    assert said.startswith("erasure-1: 3 of 3 to do, due ")
    with desk.open() as w:
        with pytest.raises(Unmet, match="3 of 3 are open"):
            w.rights.case.close("erasure-1")
        matter = w.rights.case.show("erasure-1")
        assert [(one.what, one.actions) for one in matter.tasks] == [
            ("content", ("erase", "waive")),
            ("adapter", ("rebuild", "retire", "note", "waive")),
            ("deployment", ("ended", "waive")),
        ]
        erased = w.rights.case.act("erasure-1", "erase")
        assert {name: erased.facts[name] for name in ("rows", "blobs")} == {"rows": 5, "blobs": 1}
        assert erased.elsewhere == (str(desk.folder / "chats.jsonl"),)
        assert places(root, SECRET) == places(root, SECRET.upper()) == []
        assert places(root, "thanks for the umbrella") == []
        assert len(places(root, "about something else altogether")) == 1
        assert verify(store) == []
        with pytest.raises(Unmet, match="2 of 3 are open"):
            w.rights.case.close("erasure-1")
        rebuilt = w.rights.case.act("erasure-1", "rebuild", "desk@1", prove=True)
        assert rebuilt.rebuilt is not None
        assert (rebuilt.rebuilt.outcome, rebuilt.proof) == ("proven", "exact")
        release = store.get(desk.release, Release)
        with pytest.raises(Conflict, match="desk@1 was retired \\(erasure-1\\)"):
            in_use(store, desk.release, release)  # type: ignore[arg-type]
        with pytest.raises(Conflict, match="retired"):
            found(store, release)
        assert [one.what for one in w.rights.case.show("erasure-1").open] == ["deployment"]
        w.rights.case.act("erasure-1", "ended", "desk@1")
        paths = w.rights.case.close("erasure-1", desk.folder / "dossiers")
        assert w.rights.case.check(paths[0]) is None
        assert w.rights.case.list()[0].closed is not None
        with pytest.raises(Unmet, match="is closed"):
            w.rights.case.act("erasure-1", "erase")
    whole = json.loads(paths[0].read_text())
    assert [one["proof"] for one in whole["dossier"]["affected"]] == ["exact", "exact", "recorded"]
    rooms = whole["dossier"]["affected"][1]["rooms"]
    assert [line.partition(";")[0].partition(",")[0] for line in rooms] == [
        "made: clean room: environment as installed",
        "proven: clean room: environment as installed",
    ]
    assert all("; empty home; no network (" in line and line in paths[1].read_text() for line in rooms)
    assert "letter of 3 March" in paths[1].read_text()
    assert SECRET not in paths[0].read_text() + paths[1].read_text()
    paths[0].write_text(paths[0].read_text().replace("letter of 3 March", "letter of 4 March"))
    assert "was changed after it was signed" in says("rights", "case", "check", str(paths[0]), code=2)
    assert verify(store) == []
    made = store.events("case.acted")[1].data["adapter"]
    assert not (root / store.get(desk.adapter).location).exists()
    assert (root / store.get(made).location).exists()


def test_a_hold_waits_for_a_person(desk: Desk, says: Callable[..., Any]) -> None:
    with desk.open() as w:
        w.rights.hold(row="chats:r3", reason="court order")
        w.rights.case.open("erasure", subject="p3")
        assert "HELD" in says("rights", "case", "show", "erasure-1", code=2)
        with pytest.raises(Unmet, match="1 of the rows: row:"):
            w.rights.case.act("erasure-1", "erase")
        assert desk.store.events("erasure.*") == []
        w.rights.release(row="chats:r3")
        w.rights.case.act("erasure-1", "erase")
    assert verify(desk.store) == []


def test_waivers_expire_and_retired_is_enough(desk: Desk) -> None:
    served = Names(desk.store)
    assert served.resolve("desk@1")[0] == desk.release
    with desk.open() as w:
        w.rights.case.open("takedown", row="chats:r5")
        for thing in ("desk@1", desk.served):
            with pytest.raises(Unmet, match="a waiver needs a reason"):
                w.rights.case.act("takedown-1", "waive", thing)
            w.rights.case.act("takedown-1", "waive", thing, until=desk.store.clock() + timedelta(seconds=2), reason="x")
    later = desk.store.clock() + timedelta(days=1)
    with whence.open(desk.folder, project=False, actor="ann@example.org", clock=lambda: later) as w:
        assert len(w.rights.case.show("takedown-1").open) == 2
        w.rights.case.act("takedown-1", "retire", "desk@1")
        w.rights.case.act("takedown-1", "ended", desk.served)
        assert w.rights.case.show("takedown-1").open == ()
        assert w.ask.due().adapters == 0
    with pytest.raises(Conflict, match="retired"):  # what a running gateway asks with each request
        served.resolve("desk@1")
        assert not list((desk.store.root / "runs").glob("*/adapter"))
        assert verify(desk.store) == []


def test_rows_that_were_never_trained_on_and_overlapping_cases(desk: Desk) -> None:
    with desk.open() as w:
        w.rights.case.open("erasure", row="chats:r3")
        second = w.rights.case.open("erasure", subject="p3")
        assert second.case.name == "erasure-2"
        w.rights.case.act("erasure-1", "erase")
        assert "5 of the request, 0 made from them; 1 erased" in w.rights.case.show("erasure-2").tasks[0].why
        w.rights.case.act("erasure-2", "erase")
        w.rights.case.act("erasure-2", "retire", "desk@1")
        first = w.rights.case.show("erasure-1")
        assert [one.what for one in first.open] == ["deployment"]
        assert [(one.action, one.proof) for one in first.tasks[:2]] == [("erase", "exact"), ("retire", "exact")]
        with pytest.raises(Unmet, match="names 0 things"):
            w.rights.case.act("erasure-1", "rebuild", "nothing")
        third = w.rights.case.open("erasure", subject="nobody")
        assert [(one.what, one.why) for one in third.tasks] == [
            ("content", "0 of the request, 0 made from them; 0 erased")
        ]
    assert verify(desk.store) == []


def test_departures_and_ends_of_life(desk: Desk) -> None:
    with desk.open() as w:
        w.rights.own("desk@1", accountable="bo@example.org")
        opened = w.rights.case.open("departure", person="bo@example.org")
        assert [(one.name, one.actions) for one in opened.tasks] == [("desk@1", ("own", "waive"))]
        with pytest.raises(Unmet, match="nobody is named"):
            w.rights.case.act("departure-1", "own", "desk@1")
        w.rights.case.act("departure-1", "own", "desk@1", to="cy@example.org")
        assert w.rights.case.show("departure-1").open == ()
        w.rights.case.close("departure-1", desk.folder)
        ends = w.rights.case.open("end-of-life", base="tiny")
        assert [(one.what, one.actions) for one in ends.tasks] == [("adapter", ("retire", "waive"))]
        for kind, wrong in (("end-of-life", {"base": "tinny"}), ("departure", {"person": "bob"})):
            with pytest.raises(Unmet, match="is called"):
                w.rights.case.open(kind, **wrong)
        with pytest.raises(Unmet, match="nothing is named"):
            w.rights.hold(reason="a court")
        with pytest.raises(Unmet, match="erasure is about nothing"):
            w.rights.case.open("erasure")


def test_a_signature_is_of_its_bytes_alone(desk: Desk) -> None:
    from whence.govern import sign

    by = sign(desk.store, b"this")
    assert (signed(b"this", by), signed(b"that", by)) == (True, False)
    assert sign(desk.store, b"more").key == by.key
