"""Many revocations in one file: all or none, by line, and at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.govern import Book
from whence.records import Unmet, sha256
from whence.store import verify


@pytest.fixture
def w(tmp_path: Path, clock: Any) -> Iterator[whence.Session]:
    with whence.open(tmp_path, create=True, project=False, actor="ann@example.org", clock=clock) as session:
        yield session


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values), encoding="utf-8")
    return path


def test_ten_thousand_of_them(w: whence.Session, tmp_path: Path) -> None:
    file = lines(tmp_path / "gone.jsonl", *({"what": "withdraw", "subject": f"c-{n}"} for n in range(10_000)))
    made = w.rights.record(file)
    assert (len(made.events), len(made.unknown), made.blast) == (10_000, 10_000, None)
    held = Book(w.store).standings()
    assert len(held) == 10_000
    assert {one.state for one in held.values()} == {"withdrawn"}
    assert w.ask.blast_radius(subject="c-77").rows == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"jsonl:3: Invalid JSON"),
        ({"what": "forget", "subject": "a"}, "what"),
        ({"what": "withdraw"}, "nothing is named"),
        ({"what": "withdraw", "source": "b"}, "no source is called 'b'"),
        ({"what": "withdraw", "subject": "a", "row": "b:1"}, "subject, row are named"),
        ({"what": "withdraw", "subject": ""}, "empty"),
        ({"what": "withdraw", "subject": "a", "valid_at": "soon"}, "valid_at"),
        ({"what": "withdraw", "rows": "gone.txt"}, "gone.txt cannot be read"),
        ({"what": "withdraw", "subject": "a", "evidence": "gone.eml"}, "gone.eml cannot be read"),
        ({"what": "reinstate", "subject": "nobody"}, r"jsonl:3: .*neither withdrawn nor disputed"),
        ({"what": "reinstate", "subject": "nobody"}, "nothing of it was recorded"),
        ({"what": "withdraw", "subject": "a", "when": "now"}, "when"),
        ({"what": "withdraw", "subject": "a", "valid_at": "2026-01-01T00:00:00"}, "valid_at"),
        ({"what": "withdraw", "subject": "a", "to": "MIT"}, "takes no 'to'"),
        ({"what": "grant", "subject": "a", "to": "MTI"}, "licence"),
        ({"what": "change", "subject": "a"}, "no licence that changes"),
    ],
)
def test_one_bad_line_and_nothing_of_it_is_recorded(w: whence.Session, tmp_path: Path, line: Any, said: str) -> None:
    good = {"what": "withdraw", "subject": "b", "reason": "a letter"}
    with pytest.raises(Unmet, match=said):
        w.rights.record(lines(tmp_path / "some.jsonl", good, good, line))
    assert w.store.events("rights.*") == []
    assert verify(w.store) == []


def test_words_of_many_lie_apart(w: whence.Session, tmp_path: Path) -> None:
    values = [
        {"what": "withdraw", "subject": "a", "reason": "moved abroad", "valid_at": "2026-03-01T00:00:00Z"},
        {"what": "grant", "subject": "a", "valid_at": "2026-03-01T00:00:00Z", "said_by": "her lawyer"},
    ]
    made = w.rights.record(lines(tmp_path / "two.jsonl", *values))
    assert made.contradicted  # of one time: the stricter holds
    events = w.store.events("rights.*")
    assert [w.store.words(e.payload or "") for e in events] == [
        {"reason": "moved abroad", "by": "ann@example.org"},
        {"by": "her lawyer"},
    ]
    assert "abroad" not in str(events)
    standing = Book(w.store).standing(made.about[0])
    assert standing is not None
    assert standing.state == "withdrawn"
    assert verify(w.store) == []


def test_a_list_of_rows(w: whence.Session, tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", *({"id": f"t{n}", "text": f"row {n}"} for n in range(20)))
    (tmp_path / "whence.toml").write_text(
        '[project]\nname = "desk"\nowner = "ann"\n[[sources]]\nname = "train"\npath = "train.jsonl"\n'
        'kind = "licensed"\nlicence = "MIT"\nmap = { id = "id" }\n[base]\npath = "./base"\n'
    )
    w.data.ingest()
    listed = lines(tmp_path / "notice.txt", "train:t3", "train:t4", "", w.store.row(7).id)
    made = w.rights.withdraw(rows=listed, said_by="the owner")
    assert made.blast is not None
    assert sorted(made.blast.direct) == [3, 4, 7]
    assert w.data.curate().snapshot
    assert w.data.removed()[0].reasons == {"withdrawn": 3}
    assert verify(w.store) == []
    with pytest.raises(Unmet, match="line 2: no row"):
        w.rights.withdraw(rows=lines(tmp_path / "bad.txt", "train:t3", "train:t33"))
    w.rights.reinstate(rows=listed)
    assert w.ask.blast_radius().rows == 0
    blob = made.about[0].partition(":")[2]
    next((w.store.root / "blobs").rglob(f"*{blob[-20:]}")).unlink()
    assert any("needs blob" in finding.message for finding in verify(w.store))


def test_what_is_lifted_must_have_ended_by_then(w: whence.Session, tmp_path: Path) -> None:
    """On record, or in a line before."""
    w.rights.withdraw(subject="b", use="evaluate")
    lift = {"what": "reinstate", "subject": "a"}
    made = w.rights.record(
        lines(tmp_path / "a.jsonl", {"what": "dispute", "subject": "a"}, "", lift, {**lift, "subject": "b"})
    )
    assert made.lines == (1, 3, 4)
    with pytest.raises(Unmet, match=r"jsonl:2: .*neither"):
        w.rights.record(lines(tmp_path / "b.jsonl", {"what": "withdraw", "subject": "c"}, lift))
    with pytest.raises(Unmet, match=r"jsonl:3: .*neither"):
        w.rights.record(lines(tmp_path / "c.jsonl", {"what": "withdraw", "subject": "a"}, lift, lift))
    with pytest.raises(Unmet, match=r"jsonl:1: what: .*\n.*jsonl:2: .*neither"):
        w.rights.record(lines(tmp_path / "d.jsonl", {"what": "forget"}, lift))
    with pytest.raises(Unmet, match="holds no change"):
        w.rights.record(lines(tmp_path / "empty.jsonl", ""))


def test_a_line_takes_what_the_options_take(w: whence.Session, tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", *({"id": f"t{n}", "text": f"row {n}"} for n in range(9)))
    (tmp_path / "whence.toml").write_text(
        '[project]\nname = "desk"\nowner = "ann"\n[[sources]]\nname = "train"\npath = "train.jsonl"\n'
        'kind = "licensed"\nlicence = "MIT"\nmap = { id = "id" }\n[base]\npath = "./base"\n'
    )
    w.data.ingest()
    listed = lines(tmp_path / "notice.txt", "train:t3", "train:t4")
    line = {"what": "withdraw", "rows": str(listed), "evidence": str(listed), "valid_at": "2026-10-01"}
    made = w.rights.record(lines(tmp_path / "one.jsonl", line))
    assert made.blast is not None
    assert sorted(made.blast.direct) == [3, 4]
    [event] = w.store.events("rights.*")
    assert event.valid_at is not None
    assert event.valid_at.isoformat() == "2026-10-01T00:00:00+00:00"
    assert event.data["evidence"] == sha256(listed.read_bytes())


def test_people_in_no_row_are_named_by_their_lines(
    w: whence.Session, tmp_path: Path, says: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = [{"what": "withdraw", "subject": f"c-{n}"} for n in range(10)]
    lines(tmp_path / "gone.jsonl", *gone)
    lines(tmp_path / "one.jsonl", gone[0])
    said = says("rights", "record", "gone.jsonl")
    assert "no row is about the 10 people of lines 1, 2, 3, 4, 5, 6, 7, 8 and 2 more" in " ".join(said.split())
    assert "no row is about the person of line 1. " in says("rights", "record", "one.jsonl")
    both = says("rights", "withdraw", "--subject", "x-1", "--subject", "x-2")
    assert "nobody is called so: no row is about x-1, x-2" in both
