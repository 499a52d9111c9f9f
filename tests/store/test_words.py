"""Words in the journal, bytes in blobs, tables and lines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from whence.records import Damaged, NotFound, Ref, Trace
from whence.store import Store, trace_head, verify
from whence.store.journal import Journal
from whence.store.nouns import trace_from


def test_words_are_read_back_under_a_salted_digest(store: Store) -> None:
    one, two = store.write_words("payload", {"reason": "yes"}), store.write_words("payload", {"reason": "yes"})
    assert one != two
    assert store.words(one) == store.words(two) == {"reason": "yes"}
    assert Store.open(store.root).words(one) == {"reason": "yes"}
    with pytest.raises(NotFound):
        store.words("sha256:" + "0" * 64)
    assert store.noted([one, "sha256:0"]) == {one}
    assert verify(store) == []


def test_a_torn_last_line_is_passed_over_and_the_next_process_writes_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first, second = journal.append({"n": 1}, {"h": 1}), journal.append({"n": 2})
    path = tmp_path / first.segment
    path.write_bytes(path.read_bytes()[:-1])
    assert [entry for entry, _ in journal.scan(first.segment)] == [first]
    assert journal.read(first) == {"n": 1}
    after = Journal(tmp_path)
    third = after.append({"n": 3})
    assert third.segment != first.segment
    assert after.read(third) == {"n": 3}
    path.write_bytes(path.read_bytes()[: second.offset + 3])
    with pytest.raises(Damaged):
        journal.read(second)


def test_a_damaged_line_does_not_hide_those_after_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    made = [journal.append({"n": n}, {"h": n}) for n in range(3)]
    path = tmp_path / made[0].segment
    data = bytearray(path.read_bytes())
    data[made[1].offset] = 0
    path.write_bytes(data)
    found = list(journal.scan(made[0].segment))
    assert [head for _, head in found] == [{"h": 0}, None, {"h": 2}]
    assert [entry.digest for entry, _ in found] == [made[0].digest, "", made[2].digest]


@pytest.mark.parametrize("what", ["salt", "head", "body"])
def test_any_change_to_an_entry_is_found(tmp_path: Path, what: str) -> None:
    journal = Journal(tmp_path)
    entry = journal.append({"text": "aaaa"}, {"at": "bbbb"})
    path = tmp_path / entry.segment
    text = path.read_text()
    old = {"salt": text[text.index('"salt":"') + 8 :][:4], "head": "bbbb", "body": "aaaa"}[what]
    path.write_text(text.replace(old, "0123" if old != "0123" else "3210"))
    with pytest.raises(Damaged):
        journal.read(entry)
    assert next(journal.scan(entry.segment))[0].digest != entry.digest


def test_long_journals_go_on_in_another_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.store.journal.SEGMENT_BYTES", 100)
    journal = Journal(tmp_path)
    made = [journal.append({"n": n}) for n in range(5)]
    assert len(journal.segments()) == 3
    assert [journal.read(entry)["n"] for entry in made] == [0, 1, 2, 3, 4]


# -- traces ------------------------------------------------------------------------------------------------------------


def trace(name: str, made_of: Ref) -> Trace:
    return Trace(
        id=name, deployment=made_of, release=made_of, at=datetime(2026, 11, 1, tzinfo=UTC), duration_s=0.5,
        prompt_tokens=3, completion_tokens=4, finish="stop", consent="train", subject=None, content="",
    )  # fmt: skip


def test_traces_that_a_killed_server_left_are_recorded_once(store: Store) -> None:
    from whence.records import Prompt

    ref = store.put(Prompt(template="t", text="stands in for a release"))
    journal, left = Journal(store.root / "journal" / "trace"), []
    for name in ("t1", "t2", "t3"):
        head = trace_head(trace(name, ref))
        entry = journal.append({"words": name}, head)
        left.append((entry, trace_from(head, entry.digest)))
    store.add_traces(left[:1])
    assert store.recover_traces() == 2
    assert store.recover_traces() == 0
    store.add_traces(left)  # the slow server wakes up: nothing is counted twice
    assert [t.id for _, t in store.all(Trace)] == ["t1", "t2", "t3"]
    assert [e.data["traces"] for e in store.events("traces.recorded")] == [1, 2]
    assert store.words(store.latest(Trace, "t2")[1].content) == {"words": "t2"}
    assert verify(store) == []


# -- blobs -------------------------------------------------------------------------------------------------------------


def test_blobs_are_their_bytes(store: Store) -> None:
    name = store.blobs.put(b"bytes")
    assert store.blobs.put(b"bytes") == name
    assert store.blobs.get(name) == b"bytes"
    assert store.blobs.get(store.blobs.put(b"")) == b""
    assert sorted(store.blobs.names()) == sorted({name, store.blobs.put(b"")})
    with pytest.raises(NotFound):
        store.blobs.get("sha256:" + "0" * 64)
    Path(store.blobs.path(name)).write_bytes(b"other")
    with pytest.raises(Damaged):
        store.blobs.get(name)


def test_an_unfinished_blob_is_none(store: Store) -> None:
    name = store.blobs.put(b"bytes")
    Path(store.blobs.path(name) + ".0123.part").write_bytes(b"by")
    assert list(store.blobs.names()) == [name]
    assert verify(store) == []


def test_tables_and_lines_come_back_as_they_were(store: Store) -> None:
    table = pa.table({"ordinal": pa.array([1, None], pa.uint64()), "reason": ["a", "é"]})
    assert store.get_table(store.put_table(table)).equals(table)
    assert store.get_lines(store.put_lines([{"b": 1, "a": "x\u2028y"}, [1.0]])) == [{"a": "x\u2028y", "b": 1}, [1.0]]
    assert store.get_lines(store.put_lines([])) == []
