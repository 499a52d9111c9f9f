"""A case from the request to its dossier: a person's rows are erased, the model is rebuilt without them and proven, the
old one retired; nothing of the text is left, by readers of the tests' own."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import whence
from store.finder import places
from train.lessons import freeze, recipe
from whence.evaluate import put_suite
from whence.feedback import send
from whence.govern import signed
from whence.models import fingerprint
from whence.records import Base, Conflict, Deployment, Item, Release, Trace, Unmet
from whence.serve import leases
from whence.serve.releases import Names, found, in_use
from whence.store import Store, verify
from whence.train import prepare, recorded
from whence.train.backends.work import work

pytestmark = pytest.mark.tiny
GREETING = "hello, happy to help, what is it about?"
SECRET = "my blue umbrella hides the number four nine two nine"


@dataclass
class Desk:
    """A folder with a store: thirty chats of six people, a model that was fed them, released and served."""

    folder: Path
    store: Store
    adapter: str
    release: str
    served: str

    def open(self) -> Any:
        return whence.open(self.folder, project=False, actor="ann@example.org")


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    from whence.data import Plan, ingest
    from whence.records import Source

    folder = tmp_path_factory.mktemp("cases")
    shutil.copytree(tiny_base, folder / "tiny-base")
    with contextlib.closing(Store.open(folder / ".whence", create=True, actor="tester@example.org")) as store:
        rows = [
            {
                "id": f"r{n}",
                "who": f"p{n % 6}",
                "messages": [
                    {"role": "user", "content": SECRET if n == 3 else f"please tell me about my card number {n}"},
                    {"role": "assistant", "content": GREETING},
                    {"role": "assistant", "content": ("card arrival", "lost card", "exchange rate")[n % 3]},
                ],
            }
            for n in range(30)
        ]
        (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = Source(
            name="chats", kind="production_log", location="chats.jsonl", licence="CC0-1.0", consent_basis="consent"
        )
        plan = Plan(
            source=source,
            path=folder / "chats.jsonl",
            format="jsonl",
            map={"id": "id", "subject": "who"},
            rights="none",
        )
        ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))
        base = store.put(Base(name="tiny", location="./tiny-base", fingerprint=fingerprint(folder / "tiny-base")))
        run = prepare(store, base, freeze(store, range(30)), recipe(batch_rows=3, checkpoint_every=1))
        work(store, run, lambda line: None)
        made = recorded(store, run)
        assert made
        release = store.put(Release(name="desk@1", adapter=made.adapter_ref, verdict=None))
        leases.declare(store, release, "https://example.org/v1", store.clock())
    return folder


@pytest.fixture
def desk(_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    shutil.copytree(_made, folder)
    monkeypatch.chdir(folder)
    with contextlib.closing(Store.open(folder / ".whence", actor="tester@example.org")) as store:
        [(release, made)] = store.all(Release)
        [(served, _)] = store.all(Deployment)
        yield Desk(folder, store, made.adapter, release, served)


def spread(desk: Desk) -> None:
    """The secret in every other place that the store keeps words in."""
    store, person = desk.store, desk.store.keys.pseudonym("p3")
    items = [
        Item(id="a", input=f"what of this: {SECRET}?", expected="lost card"),
        Item(id="b", input="short", expected="card arrival", group="p3"),
        Item(id="c", input="somebody else's question about cards", expected="exchange rate", group="p4"),
    ]
    put_suite(store, "desk", "dev", "label", items)
    words = store.write_words("trace", {"request": {"messages": [{"role": "user", "content": "yes"}]}})
    trace = Trace(id="t1", deployment=desk.served, release=desk.release, at=store.clock(), duration_s=None,
                  prompt_tokens=None, completion_tokens=None, finish=None, consent="none", subject=person,
                  content=words)  # fmt: skip
    with store.transaction():
        from whence.store.nouns import digests_root

        store.append("traces.recorded", desk.served, {"traces": 1, "root": digests_root([store.put(trace)])})
    send(store, "t1", surface="api", actor="user", intent="comment", text="thanks for the umbrella")
    store.write_words("quarantine", {"line": json.dumps({"who": "p3", "text": "??"}), "reason": "shape"})
    store.write_words("feedback", {"text": f"about: {SECRET.upper()}!"})
    store.write_words("payload", {"reason": f"they wrote: {SECRET}"})
    store.write_words("feedback", {"text": f"about something else altogether. {GREETING}"})


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
            ("adapter", ("rebuild", "retire", "waive")),
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
