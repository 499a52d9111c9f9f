"""``ask subject``, ``rights identify`` and ``rights review`` at the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whence import evaluate
from whence.records import Item, Ref, Snapshot
from whence.store import Store, row_set

Take = Callable[..., Any]
ROWS = [
    {"id": "t0", "text": "mine", "who": "c-1"},
    {"id": "t1", "text": "ada.king@example.org asked"},
    {"id": "t2", "text": "order 1 came"},
    {"id": "t3", "text": "nothing"},
    {"id": "t4", "text": "a summary", "of": ["tickets:t1"]},
]


@pytest.fixture
def desk(store: Store, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    take(ROWS, id="id", subject="who", parents="of")
    monkeypatch.chdir(tmp_path)
    return store


def test_a_person_is_identified_reviewed_and_asked_for(desk: Store, says: Callable[..., Any]) -> None:
    rows = row_set(range(5))
    parts = {"name": "all", "rows": 5, "root": desk.root_of(rows), "set": desk.put_set(rows), "steps": ()}
    snapshot = desk.put(Snapshot(**parts))
    items = [Item(id="a", input="?", expected="x", group="c-1"), Item(id="b", input="?", expected="x", group="c-2")]
    suite: Ref = evaluate.put_suite(desk, "gate", "gate", "exact", items, [])
    made = says(
        "rights", "identify", "--subject", "c-1", "--email", "ada.king@example.org", "--order", "order 1", "--json"
    )
    assert made == {"subjects": 1, "new": 3, "weak": 2, "known": 0, "found": 2, "unknown": []}
    who = desk.keys.pseudonym("c-1")
    found = says("ask", "subject", "c-1", "--json")
    records = {part: [one["record"] for one in held] for part, held in found["rows"].items()}
    assert records == {
        "tagged": ["tickets:t0"],
        "named": ["tickets:t1"],
        "waiting": ["tickets:t2"],
        "derived": ["tickets:t4"],
    }
    assert found["snapshots"] == {snapshot: 3}
    assert found["suites"] == {suite: 1}
    assert (found["subject"], found["state"], found["unsearched"]) == (who, None, 0)
    assert found["identifiers"] == {"email": 1, "order": 1, "account": 1}
    text = says("ask", "subject", who)
    assert text.startswith("1 row(s) by tag, 1 by mention, 1 to review, 1 derived; in 1 snapshot(s)")
    waits = says("rights", "review", "--json")
    assert [(w["record"], w["kinds"], w["why"]) for w in waits] == [("tickets:t2", ["order"], ["weak"])]
    assert "order 1" not in says("rights", "review")
    assert "order 1 came" in says("rights", "review", "--words")
    assert says("rights", "review", "--subject", "c-1", "--row", "tickets:t2", "--accept", "--json")["rows"] == 1
    assert says("rights", "review") == "no row waits for anybody\n"
    assert len(says("ask", "subject", "c-1", "--json")["rows"]["named"]) == 2
    assert len(says("ask", "subject", "c-1", "--as-of", "2020-01-01T00:00:00Z", "--json", code=1)) == 2
    says("rights", "withdraw", "--subject", "c-1")
    assert "rights: withdraw" in says("ask", "subject", "c-1")


def test_what_is_not_known_or_not_meant(desk: Store, says: Callable[..., Any], tmp_path: Path) -> None:
    assert "nothing is known" in says("ask", "subject", "c-7", code=1)
    assert "nothing is known" in says("ask", "subject", "subject-0", code=1)
    assert "1 new identifier(s) of 1 person(s)" in says("rights", "identify", "--subject", "c-99")
    path = tmp_path / "people.jsonl"
    path.write_text('{"subject": "c-2", "kind": "email", "value": "bo.li.1@example.org"}\n{"subject": "c-2"}\n')
    assert "people.jsonl:2: " in says("rights", "identify", "--file", str(path), code=1)
    for words in (["--accept", "--refuse"], ["--row", "tickets:t0"], ["--accept"]):
        says("rights", "review", *words, code=3)
    assert "no row waits" in says("rights", "review", "--subject", "c-1", "--refuse", code=1)
    says("rights", "review", "--subject", "c-1", "--row", "tickets:t9", "--refuse", code=1)
    says("ask", "subject", "c-1", "--as-of", "yesterday", code=3)


def test_a_review_says_who_waits_and_why_a_row_does_not(desk: Store, says: Callable[..., Any]) -> None:
    says("rights", "identify", "--subject", "c-1", "--order", "order 1")
    said = says("rights", "review", "--subject", "nobody-9")
    assert said == "no row waits for nobody-9; 1 wait(s) for others: whence rights review\n"
    words = ("rights", "review", "--subject", "c-1", "--refuse", "--row")
    assert "tickets:t0: tagged with subject-" in says(*words, "tickets:t0", code=1)
    assert "tickets:t3: nothing that subject-" in says(*words, "tickets:t3", code=1)
    assert says(*words, "tickets:t2").endswith(f"1 row(s) do not name {desk.keys.pseudonym('c-1')}\n")


def test_rows_that_are_only_counted_are_listed_by_id(
    store: Store, take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Callable[..., Any]
) -> None:
    take([{"text": "order 1 came"}, {"text": "where is order 1"}])
    monkeypatch.chdir(tmp_path)
    says("rights", "identify", "--subject", "c-1", "--order", "order 1")
    text = says("rights", "review")
    assert "#1" not in text
    for ordinal in range(2):
        name = store.row(ordinal).id.partition(":")[2][:12]
        assert name in text
        says("rights", "review", "--subject", "c-1", "--row", name, "--refuse")


@pytest.mark.parametrize(
    ("kind", "bad", "good"),
    [
        ("email", "not an address", "ada.king@example.org"),
        ("email", "ada@king", "ada@king.example"),
        ("email", "@example.org", "a@b.de"),
        ("email", "ada@example.", "Ada King <ada@example.org>"),
        ("phone", "123-4", "555 01"),
        ("phone", "call me", "+49 30 1234 5678"),
    ],
)
def test_what_cannot_be_of_its_kind_is_refused_with_all_beside_it(
    desk: Store, says: Callable[..., Any], kind: str, bad: str, good: str
) -> None:
    words = ("rights", "identify", "--subject", "c-1", "--name", "Ada King", f"--{kind}")
    assert "identifier 2: value is no " in says(*words, bad, code=1)
    assert desk.events("subject.identified") == []
    assert "no row is about" not in says(*words, good)


def test_somebody_in_no_row_is_said_to_be(desk: Store, says: Callable[..., Any], tmp_path: Path) -> None:
    said = says("rights", "identify", "--subject", "c-99", "--email", "bo.li.1@example.org")
    assert "no row is about c-99, and none names them" in said
    (tmp_path / "people.jsonl").write_text(
        '{"subject": "c-98", "kind": "name", "value": "Bo Li"}\n'
        '{"subject": "c-97", "kind": "email", "value": "ada.king@example.org"}\n'
    )
    made = says("rights", "identify", "--file", "people.jsonl", "--json")
    assert made["unknown"] == [desk.keys.pseudonym("c-98")]  # the other one is named by a row
    assert "nobody is called so" not in says("rights", "withdraw", "--subject", "c-97")
