"""Verify: silent about a whole store, and it names each thing that was damaged."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest
import sqlalchemy as sa
from full import everything, tamper

from whence.records import RunReport, Snapshot, Trace, Waiver
from whence.store import Store, row_set, verify
from whence.store.index import Index, folders
from whence.store.rows import SCHEMA


def sql(store: Store, statement: str, **values: object) -> None:
    assert tamper(store, statement, **values), statement


def named(store: Store, part: str, *words: str) -> None:
    """Verify finds something in `part`, and its message says these words."""
    store = Store.open(store.root)
    found = [f for f in verify(store) if f.check == f"store.{part}"]
    assert found
    assert all(f.verdict == "fail" and f.severity == "high" and f.about for f in found)
    assert any(all(word in f"{f.about} {f.message}" for word in words) for f in found), [f.message for f in found]
    assert not any("secret" in f.message or "block card" in f.message for f in found)


def test_a_whole_store_is_passed_over_in_silence(full: Store) -> None:
    assert verify(full) == []
    assert verify(full, full.head()) == []
    assert verify(Store.open(full.root)) == []
    assert everything(Store.open(full.root)) == everything(full)
    shutil.rmtree(full.root / "index")
    assert verify(Store.open(full.root)) == []


def test_an_empty_store_is_whole(store: Store) -> None:
    assert verify(store) == []
    assert verify(store, (0, "sha256:" + "0" * 64)) == []


def test_progress_names_the_parts(full: Store) -> None:
    told: list[str] = []
    verify(full, progress=lambda part, done, total: told.append(part))
    assert {"catalogue", "chain", "records", "rows", "index", "blobs", "snapshots", "words"} <= set(told)


# -- the chain ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "rights.grant"), ("about", "subject:other"), ("actor", "someone"), ("data", '{"scope":"serve"}'),
        ("recorded_at", "2026-11-01T09:00:00.000001Z"), ("valid_at", None), ("payload", None), ("digest", "sha256:1"),
    ],
)  # fmt: skip
def test_an_event_that_was_changed_is_named(full: Store, column: str, value: object) -> None:
    seq = full.events("rights.withdraw")[0].seq
    sql(full, f"UPDATE events SET {column} = :value WHERE seq = {seq}", value=value)  # noqa: S608
    named(full, "chain", f"event {seq}")


def test_an_event_that_reads_the_same_but_is_spelled_otherwise_is_named(full: Store) -> None:
    """``2026-11-01 09:…`` is the same time, and sorts before every ``2026-11-01T…``: as_of would go wrong."""
    sql(full, "UPDATE events SET recorded_at = replace(recorded_at, 'T', ' ') WHERE seq = 2")
    named(full, "chain", "event 2")


def test_an_event_that_was_removed_or_moved_is_named(full: Store) -> None:
    sql(full, "DELETE FROM events WHERE seq = 3")
    named(full, "chain", "event 4")


def test_events_that_changed_places_are_named(full: Store) -> None:
    sql(full, "UPDATE events SET seq = -1 WHERE seq = 2")
    sql(full, "UPDATE events SET seq = 2 WHERE seq = 3")
    sql(full, "UPDATE events SET seq = 3 WHERE seq = -1")
    named(full, "chain", "event 2")


def test_a_chain_cut_short_is_named_by_its_own_head(full: Store) -> None:
    last = full.head()[0]
    sql(full, f"DELETE FROM events WHERE seq = {last}")  # noqa: S608
    named(full, "chain", "head")


def test_a_chain_cut_short_with_its_head_is_found_against_a_copy(store: Store) -> None:
    first = store.append("a", "x")
    store.append("b", "x")
    locked = store.head()
    cut = "UPDATE head SET seq = :first, digest = (SELECT digest FROM events WHERE seq = :first)"
    sql(store, "DELETE FROM events WHERE seq > :first", first=first.seq)
    sql(store, cut, first=first.seq)
    [found] = verify(store)
    assert found.message.startswith(f"{store.root / 'head'} knows event {first.seq + 1}")
    (store.root / "head").unlink()
    assert verify(store) == []  # nothing inside the store can tell any more
    assert [f.check for f in verify(store, locked)] == ["store.chain"]
    store.append("c", "x")  # nor is it hidden by a later event in that place
    assert [f.about for f in verify(store, locked)] == [f"event {first.seq + 1}"]


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_record_whose_body_was_changed_is_named(full: Store) -> None:
    name = full.all(Snapshot)[0][0]
    sql(full, "UPDATE records SET body = replace(body, 'cards', 'chips') WHERE noun = 'Snapshot'")
    named(full, "records", name)


@pytest.mark.parametrize("change", ["name = 'trace-9'", "name = NULL", "noun = 'Waiver'"])
def test_a_record_filed_under_another_name_is_named(full: Store, change: str) -> None:
    name = full.latest(Trace, "trace-1")[0]
    sql(full, f"UPDATE records SET {change} WHERE digest = :name", name=name)  # noqa: S608
    named(full, "records", name)


def test_references_removed_or_made_up_are_named(full: Store) -> None:
    name, snapshot = full.all(Snapshot)[0]
    sql(full, "DELETE FROM edges WHERE src = :name AND field = 'steps'", name=name)
    named(full, "records", name, "steps", snapshot.steps[0][:19])
    sql(full, "INSERT INTO edges (src, field, dst) VALUES (:name, 'parents', 'sha256:x')", name=name)
    named(full, "records", name, "parents")


@pytest.mark.parametrize("noun", ["Source", "Step", "Run", "Base", "RunReport", "Feedback", "Trace"])
def test_a_record_that_was_removed_is_named(full: Store, noun: str) -> None:
    name = full._rows(sa.text(f"SELECT digest FROM records WHERE noun = '{noun}' ORDER BY n LIMIT 1"))[0].digest  # noqa: S608
    run = full.get(name).run if noun == "RunReport" else name
    tamper(full, "DELETE FROM edges WHERE src = :name", name=name)
    sql(full, "DELETE FROM records WHERE digest = :name", name=name)
    found = [f for f in verify(full) if f.check in ("store.records", "store.traces")]
    assert any(run in f.about or f.check == "store.traces" for f in found)


def test_a_trace_made_up_afterwards_is_named(full: Store) -> None:
    real = full.latest(Trace, "trace-1")[1]
    full.put(replace(real, id="trace-9"))
    named(full, "traces", "in no event")


# -- rows --------------------------------------------------------------------------------------------------------------


def rewrite(store: Store, ordinal: int, **changed: Any) -> None:
    """Change a row in the row file the only way Lance knows: remove it and write another."""
    dataset = lance.dataset(str(store.root / "rows.lance"))
    row = dataset.to_table(filter=f"ord = {ordinal}").to_pylist()[0]
    dataset.delete(f"ord = {ordinal}")
    lance.write_dataset(
        pa.Table.from_pylist([{**row, **changed}], SCHEMA), str(store.root / "rows.lance"), mode="append"
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"record": "t99"}, {"source": "derived"}, {"subject": None}, {"subject": "subject-x"}, {"licence": "MIT"},
        {"licence": None}, {"slices": None}, {"parents": [1]}, {"parents": None}, {"generator": "gpt"},
        {"group": ""}, {"shape": "text"}, {"id": b"\x00" * 32},
    ],
    ids=str,
)  # fmt: skip
def test_a_changed_fact_is_named(full: Store, changed: dict[str, Any]) -> None:
    rewrite(full, 5, **changed)
    named(full, "rows", "source:tickets", "were changed")


@pytest.mark.parametrize("blank", [False, True])
def test_changed_content_is_named_even_where_its_digest_is_blanked(full: Store, blank: bool) -> None:
    row = full.row(5)
    rewrite(full, 5, content='{"shape":"text","text":"forged"}', **({"content_digest": None} if blank else {}))
    named(full, "rows", row.id, "row 5")


def test_blank_content_is_named(full: Store) -> None:
    row = full.row(5)
    rewrite(full, 5, content=None)
    named(full, "rows", row.id, "row 5")


def test_a_row_removed_or_repeated_is_named(full: Store) -> None:
    dataset = lance.dataset(str(full.root / "rows.lance"))
    dataset.delete("ord = 7")
    named(full, "rows", "39 of 40")


def test_a_row_that_is_there_twice_is_named(full: Store) -> None:
    dataset = lance.dataset(str(full.root / "rows.lance"))
    lance.write_dataset(dataset.to_table(filter="ord = 7"), str(full.root / "rows.lance"), mode="append")
    named(full, "rows", "41 of 40")


def test_a_lost_or_exchanged_key_is_named(full: Store) -> None:
    path = full.keys.path
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b"source:derived" not in line]
    path.write_bytes(b"".join(kept))
    named(full, "rows", "derived", "are gone")


def test_rows_that_no_event_covers_are_invisible_and_removed_by_the_next_writer(full: Store) -> None:
    before, count = everything(full), full.committed()
    row = full.rows.table(SCHEMA.names, "ord = 5").to_pylist()[0]
    extra = [{**row, "ord": count + i, "id": bytes([i]) * 32, "record": f"x{i}"} for i in range(3)]
    lance.write_dataset(pa.Table.from_pylist(extra, SCHEMA), str(full.root / "rows.lance"), mode="append")
    again = Store.open(full.root)
    assert everything(again) == before
    assert verify(again) == []
    assert again.find_rows("tickets:x0") == []
    assert sum(len(b) for b in again.scan(["id"])) == count
    with pytest.raises(Exception, match=f"no row {count}"):
        again.row(count)
    with again.writer("next"):
        assert again.rows.table(["ord"], f"ord >= {count}").num_rows == 0
    assert everything(again) == before


# -- index, blobs, snapshots -------------------------------------------------------------------------------------------


def test_a_damaged_index_is_named_and_may_be_deleted(full: Store) -> None:
    folder = folders(full.root / "index")[-1]
    for path in sorted(folder.iterdir()):
        was = path.read_bytes()
        path.write_bytes(was[:-1])
        named(full, "index", str(folder))
        path.unlink()
        named(full, "index", str(folder))
        path.write_bytes(was)
    assert verify(full) == []


@pytest.mark.parametrize("what", ["ordinals", "rest", "children"])
def test_an_index_that_does_not_follow_from_the_rows_is_named(full: Store, what: str) -> None:
    index = Index.load(full.root / "index")
    changed = getattr(index, what).copy()
    changed[[0, 1]] = changed[[1, 0]]
    shutil.rmtree(full.root / "index")
    replace(index, **{what: changed}).save(full.root / "index")
    named(full, "index", "does not follow")


def test_a_blob_that_is_gone_or_changed_is_named(full: Store) -> None:
    for name in list(full.blobs.names()):
        path = Path(full.blobs.path(name))
        was = path.read_bytes()
        path.write_bytes(was + b"!")
        named(full, "blobs", name)
        path.unlink()
        assert [f for f in verify(full) if f.check == "store.blobs" and name[:19] in f.message]
        path.write_bytes(was)
    assert verify(full) == []


def test_a_snapshot_whose_rows_are_others_is_named(full: Store) -> None:
    name, snapshot = full.all(Snapshot)[0]
    other = full.put_set(full.snapshot_rows(snapshot) - row_set([full.snapshot_rows(snapshot).min()]))
    forged = full.put(replace(snapshot, set=other, rows=snapshot.rows - 1))
    found = verify(full)
    assert [f.about for f in found] == [forged]
    assert name != forged


# -- words -------------------------------------------------------------------------------------------------------------


def words_of(store: Store) -> dict[str, str]:
    """What → digest of its words."""
    removed = next(r.removed for _, r in store.all(RunReport) if r.removed and r.facts["quarantined"])
    return {
        "trace": store.latest(Trace, "trace-1")[1].content,
        "feedback": next(e.digest for kind, e in store.all_words() if kind == "feedback"),
        "waiver": store.all(Waiver)[0][1].reason,
        "event": store.events("rights.withdraw")[0].payload or "",
        "quarantine": store.get_table(removed)["words"].to_pylist()[0],
    }


@pytest.mark.parametrize("what", ["trace", "feedback", "waiver", "event", "quarantine"])
def test_words_that_are_nowhere_noted_are_named(full: Store, what: str) -> None:
    digest = words_of(full)[what]
    sql(full, "DELETE FROM contents WHERE digest = :digest", digest=digest)
    named(full, "words", digest, what if what != "event" else "rights.withdraw")


@pytest.mark.parametrize("what", ["trace", "feedback", "waiver", "event", "quarantine"])
def test_words_that_cannot_be_read_are_named(full: Store, what: str) -> None:
    digest = words_of(full)[what]
    kind, entry = full.words_at(digest)
    path = full.root / "journal" / kind / entry.segment
    data = bytearray(path.read_bytes())
    data[entry.offset + entry.length // 2] ^= 1
    path.write_bytes(data)
    named(full, "words", digest, kind)
    path.unlink()
    named(full, "words", digest, kind)


@pytest.mark.parametrize(
    "change", ["kind = 'other'", "segment = 'none'", '"offset" = "offset" + 1', "length = length - 1"]
)
def test_words_noted_at_another_place_are_named(full: Store, change: str) -> None:
    digest = words_of(full)["trace"]
    sql(full, f"UPDATE contents SET {change} WHERE digest = :digest", digest=digest)  # noqa: S608
    named(full, "words", digest)


def test_an_unreadable_line_that_nobody_noted_yet_is_named(full: Store) -> None:
    """A killed server's last words may lie there: losing them must not go unseen. A torn last line is no damage."""
    entry = full.journal("trace").append({"messages": []}, {"id": "t9"})
    path = full.root / "journal" / "trace" / entry.segment
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert verify(full) == []
    path.write_bytes(whole.replace(b'"t9"', b'"t9'))
    named(full, "words", entry.segment)


def test_messages_quote_no_content(full: Store) -> None:
    assert not re.search("secret|pilot|letter", json.dumps([e.data for e in full.events()]))
