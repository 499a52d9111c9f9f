"""Stores that earlier versions wrote: each opens, verifies, migrates, answers, and is written on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stores import FIXTURES, contents, unpack, whence

import whence as product
from whence import feedback, govern
from whence.records import Adapter, Evaluation, Feedback, Release, RunReport, Trace, Verdict, Waiver
from whence.serve import state
from whence.store import Store, verify

PROBE = """
import subprocess
import sys
from whence.store import Store, verify
store = Store.open(__import__("pathlib").Path(sys.argv[1]) / ".whence")
assert verify(store) == []
"""


@pytest.fixture(params=FIXTURES, ids=lambda path: path.name)
def yesterday(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpack(request.param, tmp_path / "yesterday")


def test_it_opens_answers_and_verifies_without_a_change(yesterday: Path) -> None:
    before = contents(yesterday)
    for words, said, answer in [
        (("verify",), "the record verifies: 72 rows, 32 events, 12 runs", 0),
        (("ask", "why", "support"), "desk@1", 0),
        (("ask", "blast-radius", "--subject", "customer 5"), "must come down", 2),
    ]:
        code, told = whence(yesterday, *words)
        assert (code, said in told) == (answer, True), told
    after = contents(yesterday)
    assert after.keys() - before.keys() <= {".whence/index/adapters.arrow"}  # derived by the question, can be deleted
    assert {name: after[name] for name in before} == before


def test_everything_in_it_is_read(yesterday: Path) -> None:
    with product.open(yesterday) as w:
        store = w.store
        assert {kind.__name__: store.count(kind) for kind in (Adapter, Release, Verdict, Waiver, Trace, Feedback)} == {
            "Adapter": 1, "Release": 1, "Verdict": 1, "Waiver": 1, "Trace": 4, "Feedback": 2,
        }  # fmt: skip
        assert {e.results[0].value for _, e in store.all(Evaluation) if e.adapter} == {1.0}
        for _, trace in store.all(Trace):
            assert store.words(trace.content)["answer"]
        assert [store.words(f.content).get("text") for _, f in store.all(Feedback)] == [None, "pin reset"]
        ended, killed = (event.about for event in store.events("deployment.started"))
        assert (state(store, ended), state(store, killed)) == ("ended", "unknown")
        assert store.row(0).content["prompt"].startswith("where has my card gone")
        assert w.verify() == []


def test_it_goes_on_being_written(yesterday: Path) -> None:
    code, told = whence(yesterday, "run", "--to", "curate")
    assert code == 0, told
    assert "ingest    up to date" in told or "(0 new)" in told, "its rows came in twice"
    assert "withdrawn" in told
    with product.open(yesterday, actor="ada@example.org") as w:
        store = w.store
        runs, events = store.count(RunReport), store.head()[0]
        subject = store.keys.pseudonym("customer 2")
        govern.change(store, f"subject:{subject}", "withdraw", reason="another letter")
        feedback.send(store, "chatcmpl-0-True", surface="api", actor="user", intent="rating", value=-1.0)
        assert (store.head()[0], store.count(Feedback)) == (events + 2, 3)
        assert w.run("curate").stages[1].fresh
        assert store.count(RunReport) > runs
        assert w.verify() == []
    code, told = whence(yesterday, "verify")
    assert code == 0, told


def test_a_process_that_only_reads_it_and_one_that_writes(yesterday: Path) -> None:
    with Store.open(yesterday / ".whence", actor="ada@example.org").writer("a test"):
        subprocess.run([sys.executable, "-c", PROBE, str(yesterday)], check=True, timeout=60)
    assert verify(Store.open(yesterday / ".whence")) == []
