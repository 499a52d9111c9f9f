"""Rows that are about a person without being tagged with them: found, kept, reviewed, asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from whence.govern import (
    Identifier,
    Mentions,
    decide,
    identify,
    kept,
    read_identifiers,
    search,
    strength,
    unsearched,
    waiting,
)
from whence.govern import mentions as searching
from whence.records import Damaged, Unmet
from whence.store import IDENTIFIERS, KeyFile, RowSet, Store, verify

Take = Callable[..., Any]
MAIL = "ada.king@example.org"
FACTS = {"id": "id", "subject": "who", "parents": "of"}


def rows_of(store: Store, person: str, as_of: datetime | None = None) -> RowSet:
    return Mentions(store, as_of).rows(person)


def said(subject: str, **values: str) -> list[Identifier]:
    return [Identifier(subject=subject, kind=kind, value=value) for kind, value in values.items()]  # type: ignore[arg-type]


def know(store: Store, subject: str, **values: str) -> str:
    """Identify, search; the pseudonym."""
    identify(store, said(subject, **values))
    search(store)
    return store.keys.pseudonym(subject)


ROWS = [
    {"id": "t0", "text": "my order is late", "who": "c-1"},
    {"id": "t1", "text": f"summary: {MAIL} asked for a refund"},
    {"id": "t2", "text": "she wrote about W-7678072."},
    {"id": "t3", "text": "order 1 came"},
    {"id": "t4", "text": "Ada King called", "who": "c-2"},
    {"id": "t5", "text": "nothing about anybody"},
    {"id": "t6", "text": "told in other words", "of": ["tickets:t1"]},
]


def test_rows_that_name_a_person_are_found_whichever_comes_first(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    ada = know(store, "c-1", email=MAIL, order="#W7678072", name="Ada King")
    known = Mentions(store)
    assert (set(known.tagged(ada)), set(known.named(ada)), set(known.waiting(ada))) == ({0}, {1, 2}, {4})
    assert set(rows_of(store, ada)) == {0, 1, 2}
    take([{"id": "u0", "text": f"again {MAIL}"}, {"id": "u1", "text": "again nobody"}], "more", **FACTS)
    assert unsearched(store) == 2
    assert search(store) == 2  # the address, and the name in it
    assert set(rows_of(store, ada)) == {0, 1, 2, 7}
    assert (search(store), unsearched(store)) == (0, 0)
    assert verify(store) == []


def test_a_person_whom_nobody_names(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    nobody = know(store, "c-9", email="nobody.here@example.org", order="#W1112223", phone="+49 30 1234 5678")
    assert not rows_of(store, nobody)
    assert not Mentions(store).waiting(nobody)
    assert not rows_of(store, store.keys.pseudonym("c-8"))
    assert verify(store) == []


def test_nothing_is_kept_in_clear(store: Store, take: Take, tmp_path: Path) -> None:
    take(ROWS, **FACTS)
    know(store, "person-4711-x", email="hidden.lady@example.org", name="Hidden Lady", order="#Z8675309")
    store.close()
    for path in [*store.root.rglob("*"), tmp_path / "whence.key"]:
        held = path.read_bytes().lower() if path.is_file() else b""
        assert not any(word in held for word in (b"hidden", b"8675309", b"4711-x")), path


def test_what_the_data_call_a_person_is_an_identifier(store: Store, take: Take) -> None:
    take([{"id": "a", "text": "see customer cust_88412097"}], **FACTS)
    assert set(rows_of(store, know(store, "cust-88412097"))) == set()
    assert set(rows_of(store, know(store, "cust-88412097", account="cust-88412097"))) == {0}


def test_asked_again_nothing_changes(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    know(store, "c-1", email=MAIL)
    head = store.head()
    again = identify(store, said("c-1", email=MAIL.upper()))
    assert (again.new, again.known, store.head()) == (0, 1, head)
    assert search(store) == 0


def test_an_identifier_that_two_people_have_waits_for_both(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    ada = know(store, "c-1", email=MAIL)
    assert set(Mentions(store).named(ada)) == {1}
    bob = know(store, "c-3", email=MAIL)
    known = Mentions(store)
    assert [set(known.named(p)) for p in (ada, bob)] == [set(), set()]
    assert [set(known.waiting(p)) for p in (ada, bob)] == [{1}, {1}]
    assert {(w.subject, w.row, w.why) for w in waiting(store)} == {(ada, 1, ("shared",)), (bob, 1, ("shared",))}


def test_an_identifier_in_rows_about_many_others_waits(store: Store, take: Take) -> None:
    rows = [{"id": f"t{n}", "text": f"ask {MAIL}", "who": f"c-{n}"} for n in range(3)]
    take(rows[:2], "two", **FACTS)
    ada = know(store, "c-9", email=MAIL)
    assert set(rows_of(store, ada)) == {0, 1}
    take(rows[2:], "three", **FACTS)
    search(store)
    assert set(rows_of(store, ada)) == set()
    assert [w.why for w in waiting(store, ada)] == [("spread",)] * 3


def test_a_person_decides_and_may_decide_again(store: Store, take: Take, clock: Any) -> None:
    take(ROWS, **FACTS)
    ada = know(store, "c-1", name="Ada King", order="order 1", email=MAIL)
    at_first = clock.now
    clock.skip(days=1)
    assert {w.row: w.kinds for w in waiting(store)} == {3: ("order",), 4: ("name",)}
    decide(store, ada, "accept", [3])
    assert (set(rows_of(store, ada)), {w.row for w in waiting(store)}) == ({0, 1, 3}, {4})
    decide(store, ada, "refuse")
    assert (set(rows_of(store, ada)), waiting(store)) == ({0, 1, 3}, [])
    decide(store, ada, "refuse", [1, 3])
    decide(store, ada, "accept", [4])
    assert set(rows_of(store, ada)) == {0, 4}
    assert set(rows_of(store, ada, at_first)) == {0, 1}
    for rows in (None, [5], [0]):
        with pytest.raises(Unmet):
            decide(store, ada, "accept", rows)
    take([{"id": "n", "text": "order 1 again"}], "more", **FACTS)
    search(store)
    assert {w.row for w in waiting(store)} == {7}
    assert verify(store) == []


def test_as_it_was_known_then(store: Store, take: Take, clock: Any) -> None:
    take(ROWS[:2], **FACTS)
    before = clock.now
    clock.skip(days=1)
    ada = know(store, "c-1", email=MAIL)
    then = clock.now
    clock.skip(days=1)
    take([{"id": "m", "text": MAIL}, {"id": "n", "text": "mine", "who": "c-1"}], "more", **FACTS)
    search(store)
    assert [set(rows_of(store, ada, at)) for at in (before, then, None)] == [{0}, {0, 1}, {0, 1, 2, 3}]


def test_a_lost_shelf_and_a_damaged_one_change_no_answer(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    ada = know(store, "c-1", email=MAIL, name="Ada King")
    right = set(rows_of(store, ada))
    shelf = store.root / "index" / "mentions.sets"
    held = shelf.read_bytes()
    for bad in (b"", held[:-5], held[:200] + b"X" + held[201:], b"{}\n" + held, b"[" * 99):
        shelf.write_bytes(bad)
        assert set(rows_of(store, ada)) == right
    shelf.unlink()
    assert set(rows_of(store, ada)) == right


def test_long_rows_between_short_ones(store: Store, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "READ_BYTES", 1 << 20)
    long = "one two three " * 700_000
    rows = [{"text": f"short {n}" if n != 20 else f"{long} {MAIL}"} for n in range(41)]
    report = take(rows)
    assert report.facts["rows"] == 41
    assert set(rows_of(store, know(store, "c-1", email=MAIL))) == {20}


@pytest.mark.fault
def test_a_lost_table_of_mentions_is_named(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    know(store, "c-1", email=MAIL)
    event = store.events("mentions.found")[-1]
    Path(store.blobs.path(event.data["table"])).unlink()
    assert [f.check for f in verify(store)] == ["store.blobs"]
    assert f"event {event.seq}" in verify(store)[0].message


@pytest.mark.fault
def test_without_the_key_nobody_is_searched_for_and_it_says_so(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    ada = know(store, "c-1", email=MAIL)
    keys = store.keys.path.read_bytes().splitlines(True)
    store.keys.path.write_bytes(b"".join(line for line in keys if f'"{IDENTIFIERS}"'.encode() not in line))
    store.keys = KeyFile(store.keys.path, store._relies_on)
    take([{"id": "m", "text": MAIL}], "more", **FACTS)
    with pytest.raises(Damaged, match="identifiers"):
        search(store)
    with pytest.raises(Damaged, match="identifiers"):
        identify(store, said("c-5", order="#W5556667"))
    assert any("key of identifiers" in f.message for f in verify(store))
    assert set(rows_of(store, ada)) == {0, 1}
    assert unsearched(store) == 1
    store.keys.path.write_bytes(b"".join(keys))
    store.keys = KeyFile(store.keys.path, store._relies_on)
    search(store)
    assert set(rows_of(store, ada)) == {0, 1, 7}


KILLED = """
import os, sys
from pathlib import Path
from whence.store import Store
from whence import govern
from whence.govern import mentions
store = Store.open(Path(sys.argv[1]), actor="tester@example.org")
mentions.PIECE_ROWS = 2000
def told(done, total):
    if done >= 4500:
        os.kill(os.getpid(), 9)
govern.search(store, told)
"""


@pytest.mark.fault
def test_a_search_that_is_killed_goes_on(store: Store, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece is kept when it is done; what a killed ingest had committed is searched by the next one."""
    rows = [{"id": f"t{n}", "text": MAIL if n % 1000 == 7 else f"row {n}"} for n in range(9000)]
    identify(store, said("c-1", email=MAIL))
    take(rows, **FACTS)
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root)], env=dict(os.environ), check=False)
    assert done.returncode == -9
    assert 0 < len(store.events("mentions.found")) < 5
    assert 0 < unsearched(store) < 9000
    monkeypatch.setattr(searching, "PIECE_ROWS", 2000)
    search(store)
    ada = store.keys.pseudonym("c-1")
    assert set(rows_of(store, ada)) == {n for n in range(9000) if n % 1000 == 7}
    assert store.get_table(store.events("mentions.found")[0].data["table"]).num_rows == 2
    assert verify(store) == []


def test_identifiers_that_a_killed_process_left_are_cleared(store: Store, take: Take) -> None:
    take(ROWS, **FACTS)
    know(store, "c-1", email=MAIL)
    journal = store.journal(IDENTIFIERS)
    journal.close()
    journal.append({"identifiers": []})
    journal.close()
    identify(store, said("c-2", name="Bo Li"))
    assert set(journal.segments()) == store.noted_segments(IDENTIFIERS)
    assert len(kept(store)) == 3 + 1


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("email", "ada.king@example.org", "strong"),
        ("email", "info@example.org", "weak"),
        ("email", "no-reply@example.org", "weak"),
        ("email", "ada king example org", "weak"),
        ("email", "a@b.de", "weak"),
        ("order", "#W7678072", "strong"),
        ("order", "order 1", "weak"),
        ("order", "order 12345", "weak"),
        ("order", "order no. 123456", "weak"),
        ("order", "12345678", "weak"),
        ("order", "87654321", "weak"),
        ("order", "00000000", "weak"),
        ("order", "40817263", "strong"),
        ("account", "noah_brown_6181", "strong"),
        ("account", "sunshine kitchen garden", "weak"),
        ("account", "c-0017", "weak"),
        ("account", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "strong"),
        ("phone", "555 0199", "weak"),
        ("phone", "+1 (555) 010-9998", "strong"),
        ("phone", "000 000 000 000", "weak"),
        ("name", "Ada", "weak"),
        ("name", "Ada King of Lovelace", "weak"),
        ("other", "4111 1111 1111 1111", "weak"),
        ("other", "4111 1111 1111 2223", "strong"),
        ("other", "DE44 5001 0517 5407 3249 31", "strong"),
    ],
)
def test_what_means_one_person(kind: Any, value: str, expected: str) -> None:
    assert strength(kind, value) == expected


BAD = ["", " ", "#", "7", "x" * 10_240, "a\x00b", "a\nb", "\ud800ab", "---", "\u200b\u200b"]


@pytest.mark.parametrize("value", BAD)
def test_what_cannot_be_an_identifier_is_refused(store: Store, value: str) -> None:
    head = store.head()
    with pytest.raises(Unmet, match="identifier 2") as refused:
        identify(store, [*said("c-1", email=MAIL), *said("c-1", other=value)])
    assert value.strip("\ud800") not in str(refused.value) or len(value) < 4
    with pytest.raises(Unmet):
        identify(store, [replace(one, kind="shoe size") for one in said("c-1", other="44 EU")])  # type: ignore[arg-type]
    assert store.head() == head


def test_a_file_is_kept_whole_or_not_at_all(store: Store, take: Take, tmp_path: Path) -> None:
    take(ROWS, **FACTS)
    good = [{"subject": f"c-{n}", "kind": "order", "value": f"#W{7_678_072 + n}"} for n in range(2000)]
    path = tmp_path / "identifiers.jsonl"
    lines = [json.dumps(line).encode() for line in good]
    bad = {
        3: b"{not json", 5: b'["c-1"]', 7: b'{"subject": "c", "kind": "order"}', 9: b"\xff\xfe",
        11: json.dumps({"subject": "c", "kind": "order", "value": "\ud800xx"}).encode(), 13: b"[" * 100_000,
        15: json.dumps({"subject": "", "kind": "order", "value": "#W9990001"}).encode(),
        17: json.dumps({"subject": "c", "kind": ["order"], "value": "#W9990001"}).encode(),
    }  # fmt: skip
    path.write_bytes(b"\n".join(bad.get(number, line) for number, line in enumerate(lines, 1)))
    with pytest.raises(Unmet) as refused:
        read_identifiers(path)
    for number in bad:
        assert f"{path}:{number}: " in str(refused.value)
    assert str(refused.value).count(f"{path}:") == len(bad)
    path.write_bytes(b"\xef\xbb\xbf" + b"\n\n".join(lines) + b"\n")
    made = identify(store, read_identifiers(path))
    assert (made.subjects, made.new, made.known) == (2000, 2000 + 1990 + 10, 0)
    search(store)
    assert set(rows_of(store, store.keys.pseudonym("c-0"))) == {2}
    path.write_bytes(b"")
    with pytest.raises(Unmet, match="holds no identifier"):
        read_identifiers(path)
    with pytest.raises(Unmet, match="cannot be read"):
        read_identifiers(tmp_path / "none")
