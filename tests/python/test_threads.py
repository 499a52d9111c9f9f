"""Many threads, one store. Threads change places every few instructions, so that what can go wrong does."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import whence
from whence.data import Plan, ingest
from whence.govern import admitter, change, rights_digest
from whence.records import Ref, Source, Trace
from whence.serve.traces import TraceLog
from whence.store import KeyFile, Store
from whence.store import journal as journals
from whence.store.index import Index, damaged_files
from whence.verbs.session import Session, Silent


@pytest.fixture(autouse=True)
def _hurried() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """Run all jobs in threads that start together; what each returned. The first failure is raised."""
    ready, results = threading.Barrier(len(jobs)), [None] * len(jobs)

    def run(i: int, job: Callable[[], object]) -> None:
        ready.wait()
        try:
            results[i] = job()
        except Exception as error:  # noqa: BLE001  a thread's outermost loop: raised below
            results[i] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def rounds(count: int, job: Callable[[int], object]) -> Callable[[], None]:
    def run() -> None:
        for i in range(count):
            job(i)

    return run


def test_stores_are_made_and_opened_by_many_threads_at_once(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    schema = request.getfixturevalue("postgres") if request.config.getoption("--postgres") else lambda: None
    places = [(tmp_path / f"s{n}/.whence", schema()) for n in range(4)] * 2
    stores = at_once(*(lambda p=p: Store.open(p[0], create=True, catalogue=p[1]) for p in places))
    for k, store in enumerate(stores):
        store.append("test.opened", f"by:{k}")
    assert [len(store.events("test.opened")) for store in stores] == [2] * 8


def test_one_key_a_name_whoever_asks_first(tmp_path: Path) -> None:
    for number in range(20):
        keys = KeyFile(tmp_path / f"{number}.key")

        def work(keys: KeyFile = keys) -> dict[str, bytes]:
            made = {}
            for i in range(30):
                made[f"source:{i}"] = keys.get(f"source:{i}")
                keys.save()
                keys.reload()
            return made | {"person": keys.pseudonym("zoe").encode()}

        made = at_once(*[work] * 6)
        kept = KeyFile(keys.path)
        held = {name: kept.find(name) for name in made[0] if name != "person"}
        assert all(one == held | {"person": kept.pseudonym("zoe").encode()} for one in made)


def test_one_pseudonym_a_person_over_many_key_files(tmp_path: Path) -> None:
    for number in range(20):
        files = [KeyFile(tmp_path / f"{number}.key") for _ in range(6)]
        assert len({*at_once(*(lambda k=k: k.pseudonym("zoe") for k in files))}) == 1


def test_words_of_many_threads_stay_whole_over_many_segments(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 2000)
    kept = at_once(
        *(lambda k=k: [store.write_words("payload", {"said": f"{k} {i}"}) for i in range(40)] for k in range(6))
    )
    for k, digests in enumerate(kept):
        assert [store.words(d)["said"] for d in digests] == [f"{k} {i}" for i in range(40)]
    assert len(store._journals) == 1


def test_what_lies_in_a_full_segment_is_on_disk_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway appends many and syncs once; what a closed segment holds is then out of reach of that sync."""
    reached, real = set(), os.fsync

    def fsync(fd: int) -> None:
        reached.add(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(journals, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(journals.os, "fsync", fsync)
    journal = store.journal("trace")
    for i in range(20):
        journal.append({"answer": f"{i}" * 50})
    journal.sync()
    segments = list((store.root / "journal/trace").iterdir())
    assert len(segments) > 2
    assert {path.stat().st_ino for path in segments} <= reached


def test_many_threads_walk_one_project_at_once(make_project: Callable[..., Path]) -> None:
    with whence.open(make_project("desk", 40), create=True) as w:
        outs = at_once(*[w.data.curate] * 4)
        assert len({out.snapshot for out in outs}) == 1
        assert w.store.committed() == 41
        assert w.verify() == []
        assert [p.name for p in w.folder.glob("*.part")] == []


def test_an_index_is_read_while_another_is_saved_and_the_old_one_removed(store: Store, take: Callable) -> None:
    take([{"text": f"row {n}"} for n in range(9)])
    folder, index, over = store.root / "index", store.index(), threading.Event()

    def save() -> None:
        for n in range(10, 210):
            replace(index, covers=n).save(folder)
        over.set()

    def load() -> None:
        while not over.is_set():
            assert len(Index.load(folder).ordinals) in (9, 0)  # none seen: it is derived from the rows
            assert damaged_files(folder) == []

    at_once(save, *[load] * 3)


SOURCES, FILES, ROWS = 2, 6, 25


def test_many_threads_ingest_ask_serve_withdraw_and_verify_at_once(store: Store, tmp_path: Path) -> None:
    """Two sessions on one folder, eleven threads; at the end nothing is lost, doubled or damaged."""
    other = Store.open(store.root, actor="other@example.org")
    one, two = (Session(tmp_path, s, Silent(), None) for s in (store, other))
    logs, about = [TraceLog(store), TraceLog(other)], store.put(Source(name="x", kind="scraped", location="x"))
    over = threading.Event()

    def read(k: int, into: Store) -> Callable[[int], object]:
        def job(i: int) -> None:
            path = tmp_path / f"s{k}-{i}.jsonl"
            lines = [{"id": f"{i}-{j}", "who": f"c{j % 7}", "text": f"{k} {i} {j}"} for j in range(ROWS)]
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            source = Source(name=f"s{k}", kind="scraped", location="x", licence="MIT", consent_basis="consent")
            fields = {"id": "id", "subject": "who", "text": "text"}
            plan = Plan(source=source, path=path, format="jsonl", map=fields, rights=rights_digest(into))
            ingest(into, plan, admitter(into))

        return job

    def trace(k: int) -> Callable[[int], object]:
        def job(i: int) -> None:
            logs[k].keep(_trace((store, other)[k], about), {"answer": f"{k} {i}"})
            if i % 7 == 0:
                logs[k].flush()

        return job

    def until_over(job: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            while not over.is_set():
                job()

        return run

    def sound(session: Session) -> None:
        assert session.verify() == []

    def ask(session: Session) -> None:
        for name in session.data.list().sources:
            session.ask.blast_radius(source=name)
            rows = session.store.committed()
            session.ask.why(session.store.row(rows - 1).id)
            assert sum(batch.num_rows for batch in session.store.scan(["id"])) >= rows

    def write() -> None:
        try:
            at_once(
                *(rounds(FILES, read(k, s)) for k, s in enumerate((store, other))),
                *(rounds(60, trace(k)) for k in range(2)),
                rounds(20, lambda i: change(store, f"licence:L{i}", "withdraw", reason="r")),
                rounds(20, lambda i: change(other, f"licence:M{i}", "grant", reason="r")),
            )
        finally:
            over.set()

    at_once(write, *(until_over(lambda job=job, s=s: job(s)) for job in (sound, ask) for s in (one, two)))
    for log in logs:
        log.flush()
    with whence.open(tmp_path) as w:
        assert w.verify() == []
        assert w.data.list().sources == {f"s{k}": FILES * ROWS for k in range(SOURCES)}
        assert w.store.committed() == SOURCES * FILES * ROWS
        assert len(w.store.all(Trace)) == 120
        assert len(w.store.events("rights.*")) == 40
        assert len(w.store.index().sets["subject"].names()) == 7


def _trace(store: Store, about: Ref) -> Trace:
    return Trace(
        id=f"t-{secrets.token_hex(8)}",
        deployment=about,
        release=about,
        at=store.clock(),
        duration_s=0.1,
        prompt_tokens=1,
        completion_tokens=1,
        finish="stop",
        consent="none",
        subject=store.keys.pseudonym("zoe"),
        content="",
    )
