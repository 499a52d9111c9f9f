"""Records, references and events: put, get, find, append; whole or not at all; newer stores refused."""

from __future__ import annotations

import json
import os
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from full import tamper as sql

from whence.records import (
    Conflict,
    Damaged,
    NotFound,
    Prompt,
    Release,
    Run,
    Snapshot,
    Source,
    Step,
    Unmet,
    canonical,
    digest,
    sha256,
)
from whence.store import Store, identify, verify


def source(name: str, location: str = "a.jsonl") -> Source:
    return Source(name=name, kind="licensed", location=location)


# -- records -----------------------------------------------------------------------------------------------------------


def test_put_is_idempotent_and_get_returns_what_was_put(store: Store) -> None:
    ref = store.put(source("a"))
    assert ref == store.put(source("a")) == digest(source("a"))
    assert store.get(ref, Source) == source("a")
    assert store.count(Source) == 1
    assert store.put_many([]) == []


def test_what_is_not_there_or_of_another_kind_is_not_found(store: Store) -> None:
    ref = store.put(source("a"))
    with pytest.raises(NotFound):
        store.get("sha256:" + "0" * 64)
    with pytest.raises(NotFound, match="expected a Snapshot"):
        store.get(ref, Snapshot)
    with pytest.raises(NotFound):
        store.latest(Source, "b")


def test_a_changed_claim_is_a_new_record_of_that_name(store: Store) -> None:
    first, second = store.put(source("a")), store.put(source("a", "b.jsonl"))
    store.put(source("c"))
    assert store.latest(Source, "a") == (second, source("a", "b.jsonl"))
    assert [ref for ref, _ in store.all(Source, "a")] == [first, second]


def test_search_by_name_and_by_first_digits(store: Store) -> None:
    ref = store.put(source("tickets"))
    other = store.put(Prompt(template="t", text="p"))
    for text in ("tickets", ref, ref[7:13], ref[7:], ref[:20]):
        assert store.search(text) == [(ref, "Source")], text
    assert store.search(other[7:19]) == [(other, "Prompt")]
    for text in ("ticket", "%", "_______", ref[7:12], "sha256:", "sha256:%", "", ref[7:13].upper() + "g"):
        assert store.search(text) == [], text


def test_references_lead_both_ways(store: Store) -> None:
    made_from = store.put(source("a"))
    run = store.put(Run(activity="ingest", used=(made_from,)))
    store.put(Run(activity="ingest", used=(made_from,), attempt=1))
    assert store.upstream([run]) == [(run, "used", made_from)]
    assert len(store.downstream([made_from])) == 2
    assert store.downstream([run]) == store.upstream([made_from]) == store.upstream([]) == []
    many = store.put_many(Run(activity="curate", used=(run,), attempt=i) for i in range(1200))
    assert len(store.upstream(many)) == len(store.downstream([run])) == 1200


def test_a_record_that_was_changed_is_damaged(store: Store) -> None:
    ref = store.put(source("a"))
    sql(store, "UPDATE records SET body = replace(body, 'licensed', 'scraped')")
    with pytest.raises(Damaged):
        store.get(ref)


# -- events ------------------------------------------------------------------------------------------------------------


def test_the_chain_links_each_event_to_the_one_before(store: Store) -> None:
    assert store.head()[0] == len(store.events())
    before, previous = store.head()
    made = store.append_many((f"a.{i}", f"thing {i}", {"i": i}, None, None) for i in range(3))
    made.append(store.append("b", "thing 1"))
    chain = list(store.chain())[before:]
    assert [event for event, _ in chain] == made == store.events()[before:]
    assert [e.seq - before for e in made] == [1, 2, 3, 4]
    for event, stored in chain:
        assert sha256(canonical(event)) == stored
    assert [e.previous for e in made] == [previous, *(stored for _, stored in chain[:-1])]
    assert store.head() == (before + 4, chain[-1][1])
    assert {e.actor for e in made} == {"tester@example.org"}


def test_events_are_found_by_kind_thing_and_time(store: Store, clock) -> None:
    store.append("rights.grant", "subject:a")
    clock.skip(days=2)
    store.append("rights.withdraw", "subject:a")
    store.append("rightsome", "subject:b")
    assert [e.kind for e in store.events("rights.*")] == ["rights.grant", "rights.withdraw"]
    assert [e.kind for e in store.events("rights.*", as_of=clock.now - timedelta(days=1))] == ["rights.grant"]
    assert [e.about for e in store.events(about="subject:b")] == ["subject:b"]
    assert store.events("rights.*", last=True)[0].kind == "rights.withdraw"
    first = store.events()[0]
    assert store.events(as_of=first.recorded_at) == [first]
    assert store.events(as_of=first.recorded_at - timedelta(microseconds=1)) == []


def test_a_transaction_is_kept_whole_or_not_at_all(store: Store) -> None:
    store.append("before", "x")
    head = store.head()
    with pytest.raises(RuntimeError), store.transaction():
        ref = store.put(source("a"))
        store.append("during", "x")
        with store.transaction():
            store.write_words("payload", {"reason": "inner"})
        assert store.get(ref, Source)
        raise RuntimeError
    assert store.count(Source) == 0
    assert [e.kind for e in store.events()][-1] == "before"
    assert store.head() == head
    assert store.all_words() == []
    assert verify(store) == []


def test_events_of_many_threads_make_one_chain(store: Store) -> None:
    def work(name: str) -> None:
        for _ in range(10):
            store.append("tick", name)

    before = store.head()[0]
    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.seq for e in store.events()] == list(range(1, before + 41))
    assert verify(store) == []


def test_a_reader_sees_one_moment(store: Store) -> None:
    store.append("a", "x")
    other = Store.open(store.root, actor="other")
    before = store.head()[0]
    with store.reading():
        assert store.head()[0] == before
        other.append("b", "x")
        assert store.head()[0] == len(store.events()) == before
    assert store.head()[0] == before + 1


# -- opening -----------------------------------------------------------------------------------------------------------


def test_what_was_written_is_there_when_opened_again(store: Store) -> None:
    ref = store.put(source("a"))
    store.append("a", ref)
    words = store.write_words("payload", {"reason": "ü"})
    again = Store.open(store.root)
    assert again.get(ref) == source("a")
    assert again.head() == store.head()
    assert again.words(words) == {"reason": "ü"}


def test_a_folder_without_a_store_is_not_made_one_by_asking(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="whence run"):
        Store.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_newer_layout_and_a_newer_schema_are_refused(store: Store) -> None:
    marker = store.root / "store.json"
    was = marker.read_text()
    marker.write_text(json.dumps({"format": 2}))
    with pytest.raises(Conflict, match="upgrade"):
        Store.open(store.root)
    marker.write_text(was)
    sql(store, "UPDATE alembic_version SET version_num = '0002'")
    with pytest.raises(Conflict, match="upgrade"):
        Store.open(store.root)
    sql(store, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(Damaged):
        Store.open(store.root)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"forma": 1}', "\udcff"])
def test_a_broken_marker_is_damage(store: Store, text: str) -> None:
    (store.root / "store.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Damaged):
        Store.open(store.root)


@pytest.mark.sqlite
def test_a_catalogue_that_is_no_database_is_damage(store: Store) -> None:
    store._engine.dispose()
    for name in ("catalogue.db-wal", "catalogue.db-shm"):
        (store.root / name).unlink(missing_ok=True)
    (store.root / "catalogue.db").write_bytes(b"once upon a time" * 1000)
    with pytest.raises(Damaged):
        Store.open(store.root)


def test_keys_inside_the_store_are_refused(tmp_path: Path) -> None:
    for keys in (tmp_path / "s" / "whence.key", tmp_path / "s" / "deep" / "k", tmp_path / "x" / ".." / "s" / "k"):
        with pytest.raises(Unmet, match="inside the store"):
            Store.open(tmp_path / "s", keys, create=True)
    assert not (tmp_path / "s").exists()


def test_keys_lie_beside_the_store_and_only_their_owner_reads_them(store: Store) -> None:
    store.keys.get("source:a")
    store.keys.save()
    path = store.root.parent / "whence.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(store.root.rglob("*.key"))


def test_a_decision_needs_a_person(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert store.person() == "tester@example.org"
    with pytest.raises(Unmet, match="WHENCE_ACTOR"):
        Store.open(store.root).person()
    assert identify({"WHENCE_ACTOR": "me"}) == "me"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert identify(dict(os.environ, WHENCE_ACTOR="")) == "unidentified"


# -- one writer --------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_who_writes(store: Store) -> None:
    other = Store.open(store.root)
    said: list[str] = []
    with store.writer("ingest tickets"), store.writer("the same thread again"):
        with pytest.raises(Conflict, match="ingest tickets"), other.writer("b", wait_s=0):
            pass
        with pytest.raises(Conflict), other.writer("b", wait_s=0.2, say=said.append):
            pass
        assert len(said) == 1
        assert "ingest tickets" in said[0]
    for _ in range(20):  # a writer that has ended is in nobody's way
        for one in (other, store):
            with one.writer("b", wait_s=0):
                pass


def test_a_waiting_writer_gets_the_lock_when_it_is_free(store: Store) -> None:
    other, order = Store.open(store.root), []

    def second() -> None:
        with other.writer("second", say=lambda _: free.set()):
            order.append("second")

    free, thread = threading.Event(), threading.Thread(target=second)
    with store.writer("first"):
        thread.start()
        assert free.wait(30)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_steps_and_aliases_are_found_by_their_names(store: Store) -> None:
    step = Step(name="length", version=1, params={}, seen=1, kept=1, reasons={}, removed=store.blobs.put(b"x"))
    store.put(step)
    store.put(Release(name="live", adapter=store.put(source("a")), verdict=store.put(source("a"))))
    assert store.latest(Step, "length")[1] == step
    assert store.search("live")[0][1] == "Release"


def test_an_event_whose_data_is_absent_verifies_like_one_without(store: Store) -> None:
    made = [store.append("test.happened", "thing", data) for data in (None, {}, {"a": None}, {"a": None, "b": 1})]
    assert [event.data for event in made] == [None, None, None, {"b": 1}]
    assert [event.data for event in store.events("test.happened")] == [None, None, None, {"b": 1}]
    assert verify(store) == []
