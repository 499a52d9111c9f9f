"""Traces under load: nobody who keeps one waits for the catalogue, none is lost, and a lost one would be counted."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bench.serve_run import child, load, missing

from serve.outside import shelf
from serve.shelf import paper_adapter, paper_base, point, shelve
from whence.records import BackendFailed, Ref, Trace
from whence.serve.releases import Names
from whence.serve.traces import TraceLog
from whence.store import Store, verify


def trace(store: Store, number: int, release: Ref) -> Trace:
    return Trace(
        id=f"chatcmpl-{number}",
        deployment=release,
        release=release,
        at=datetime(2026, 11, 1, tzinfo=UTC),
        duration_s=0.25,
        prompt_tokens=3,
        completion_tokens=2,
        finish="stop",
        consent="none",
        subject=None,
        content="",
    )


@pytest.fixture
def release(store: Store, tmp_path: Path) -> Ref:
    return shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})["desk@1"]


def test_keeping_a_trace_waits_for_no_recording(store: Store, release: Ref, monkeypatch: pytest.MonkeyPatch) -> None:
    log, recording, free = TraceLog(store), threading.Event(), threading.Event()
    add = store.add_traces

    def slow(entries) -> None:
        recording.set()
        assert free.wait(30)
        add(entries)

    monkeypatch.setattr(store, "add_traces", slow)
    log.keep(trace(store, 1, release), {"answer": "one"})
    flushing = threading.Thread(target=log.flush)
    flushing.start()
    assert recording.wait(30)
    log.keep(trace(store, 2, release), {"answer": "two"})
    assert log.pending() == 2
    free.set()
    flushing.join()
    assert (log.pending(), log.recorded) == (1, 1)
    log.flush()
    assert (log.pending(), log.recorded) == (0, 2)
    assert {kept.id for _, kept in store.all(Trace)} == {"chatcmpl-1", "chatcmpl-2"}
    assert store.recover_traces() == 0
    assert verify(store) == []


def test_what_could_not_be_recorded_is_recorded_the_next_time(
    store: Store, release: Ref, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = TraceLog(store)
    log.keep(trace(store, 1, release), {"answer": "one"})

    def full(entries) -> None:
        raise BackendFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(store, "add_traces", full)
        with pytest.raises(BackendFailed):
            log.flush()
    assert log.pending() == 1
    log.keep(trace(store, 2, release), {"answer": "two"})
    log.flush()
    assert [store.words(kept.content)["answer"] for _, kept in store.all(Trace)] == ["one", "two"]


def test_a_name_means_what_the_record_says_now_whoever_wrote_it(store: Store, tmp_path: Path, release: Ref) -> None:
    names = Names(store)
    assert not names.at_hand("desk")
    assert names.resolve("desk")[0] == release
    on_sqlite = store.version() is not None
    assert (names.at_hand("desk") is not None) is on_sqlite
    other = Store.open(store.root, actor="another@example.org")
    second = shelve(other, paper_base(tmp_path / "base2", 1), {"desk@2": paper_adapter(tmp_path / "adapter2")})[
        "desk@2"
    ]
    assert not names.at_hand("desk")
    assert names.resolve("desk")[0] == second
    assert (names.at_hand("desk") is not None) is on_sqlite
    point(store, "desk", release)
    assert not names.at_hand("desk")
    assert names.resolve("desk")[0] == release
    other.close()


@pytest.mark.fault
def test_load_loses_no_trace_and_the_count_would_find_one(tmp_path: Path) -> None:
    root = shelf(tmp_path)
    with (
        child(sys.executable, "-m", "bench.serve_upstream") as (_, upstream),
        child(sys.executable, "-m", "bench.serve_gateway", str(root), upstream) as (_, url),
    ):
        run = load(url, tmp_path, ["--rate", "60", "--seconds", "2"], {})
    assert run.errors == 0
    assert len(run.received) > 200, "the warm-up's answers are counted too"
    assert missing(root, run.received) == 0
    name = next(iter(run.received))
    assert missing(root, run.received | {"chatcmpl-never": "you said so"}) == 1
    assert missing(root, run.received | {name: "something else"}) == 1
