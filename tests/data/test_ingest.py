"""Files into rows: every shape and format, the same content one digest, ids that do not move, rights never assumed."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whence.govern import change
from whence.records import RunReport, Unmet, canonical
from whence.store import Store, row_set, verify

Take = Callable[..., RunReport]

TOOL = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object", "required": ["to"]}}}
CALL = {"id": "c1", "function": {"name": "pay", "arguments": {"to": {"name": "Zoë", "tags": ["a", "b"]}, "amount": 10}}}
CHAT = {
    "messages": [
        {"role": "user", "content": "Pay Zoë 10"},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "assistant", "content": "It is paid.", "weight": 0.5},
    ],
    "tools": [TOOL],
}
SHAPES = {
    "chat": CHAT,
    "preference": {"prompt": "p", "chosen": "good", "rejected": "bad"},
    "rated": {"prompt": "p", "completion": "c", "label": True},
    "stepwise": {"prompt": "p", "completions": ["a", "b"], "labels": [True, False]},
    "prompt_completion": {"prompt": "p", "completion": "c"},
    "text": {"text": "some text"},
    "prompt": {"prompt": "p"},
}


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def in_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def column(store: Store, name: str) -> dict[str, Any]:
    """SOURCE:RECORD → value of a column."""
    found = {}
    for chunk in store.scan(["ord", "source", "record", name]):
        for row in chunk.to_pylist():
            found[f"{row['source']}:{row['record']}"] = row[name]
    return found


def accounted(report: RunReport) -> None:
    facts = report.facts
    assert facts["rows"] + sum(facts["quarantined"].values()) == facts["lines"], facts
    assert facts["new"] <= facts["rows"]


# -- shapes and formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz"])
def test_all_seven_shapes(store: Store, take: Take, ending: str) -> None:
    for shape, record in SHAPES.items():
        data = {
            ".jsonl": lambda r=record: json.dumps(r).encode(),
            ".json": lambda r=record: json.dumps({"version": 1, "data": [r]}).encode(),
            ".parquet": lambda r=record: parquet([r]),
        }[ending.removesuffix(".gz")]()
        report = take(gzip.compress(data) if ending.endswith(".gz") else data, shape, ending=ending)
        assert (report.facts["rows"], report.facts["quarantined"]) == (1, {})
    assert column(store, "shape") == {f"{shape}:#1": shape for shape in SHAPES}
    for ordinal, (shape, record) in enumerate(SHAPES.items()):
        assert store.row(ordinal).content == {"shape": shape, **record}
    assert verify(store) == []


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_csv_in_the_shapes_that_are_text(store: Store, take: Take, ending: str) -> None:
    for shape in ("preference", "prompt_completion", "text", "prompt"):
        data = in_csv([SHAPES[shape]])
        assert take(gzip.compress(data) if ending == ".csv.gz" else data, shape, ending=ending).facts["rows"] == 1
        assert store.row(store.committed() - 1).content == {"shape": shape, **SHAPES[shape]}


def test_one_object_is_one_record_and_an_array_in_an_object_is_many(store: Store, take: Take) -> None:
    assert take(json.dumps(CHAT).encode(), "one", ending=".json").facts["rows"] == 1
    assert take(json.dumps([CHAT, CHAT]).encode(), "two", ending=".json").facts["rows"] == 2
    assert take(json.dumps({"items": [CHAT], "n": 1}).encode(), "in", ending=".json").facts["rows"] == 1


def test_the_same_chat_row_has_one_content_digest_from_every_file(store: Store, take: Take) -> None:
    """With tools, nested arguments, and turns that lack keys which others have; one subject, so one key."""
    other = {
        "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Zoe\u0308 \r\n ✓", "name": "n"}],
        "tools": None,
    }
    rows = [{"id": "a", "who": "zoe", **CHAT}, {"id": "b", "who": "zoe", **other}]
    shuffled = [json.loads(json.dumps(row, sort_keys=True)) for row in rows]
    take(rows, "lines", id="id", subject="who")
    take(json.dumps(shuffled).encode(), "json", ending=".json", id="id", subject="who")
    take(parquet(rows), "parquet", ending=".parquet", id="id", subject="who")
    digests = column(store, "content_digest")
    for record in ("a", "b"):
        assert len({digests[f"{name}:{record}"] for name in ("lines", "json", "parquet")}) == 1
    assert digests["lines:a"] != digests["lines:b"]
    ids = column(store, "id")
    assert len(set(ids.values())) == 6
    for ordinal in range(0, store.committed(), 2):
        assert store.row(ordinal).content == {"shape": "chat", **CHAT}


def test_text_from_csv_is_the_text_that_was_there(store: Store, take: Take) -> None:
    text = 'two\r\nlines, a "quote", a tab\t and\n\n an end'
    take(in_csv([{"prompt": text, "completion": "c", "who": "a"}]), "csv", ending=".csv", subject="who")
    take([{"prompt": text, "completion": "c", "who": "a"}], "jsonl", subject="who")
    assert store.row(0).content["prompt"] == text
    assert len(set(column(store, "content_digest").values())) == 1


def test_two_people_who_said_the_same_have_digests_of_their_own(store: Store, take: Take) -> None:
    take([{"text": "yes", "who": who} for who in ("a", "b", "a")], subject="who")
    digests = [store.row(o).content_digest for o in range(3)]
    assert digests[0] == digests[2] != digests[1]
    assert len({store.row(o).id for o in range(3)}) == 3


# -- ids ---------------------------------------------------------------------------------------------------------------


def test_a_line_inserted_above_moves_no_id(store: Store, take: Take) -> None:
    lines = [{"text": t} for t in ("yes", "no", "yes", "maybe")]
    take(lines)
    ids = [store.row(o).id for o in range(4)]
    report = take([{"text": "new"}, lines[0], {"text": "new too"}, *lines[1:]])
    assert (report.facts["rows"], report.facts["new"]) == (6, 2)
    assert [store.row(o).id for o in range(4)] == ids
    assert [store.row(o).record for o in range(4)] == ["#1", "#1", "#2", "#1"]


def test_one_yes_more_is_one_row_more(store: Store, take: Take) -> None:
    take([{"text": "yes"}] * 2)
    assert take([{"text": "yes"}] * 3).facts == {
        "source": "tickets", "lines": 3, "rows": 3, "new": 1, "quarantined": {},
    }  # fmt: skip


def test_ingesting_again_is_no_work_and_no_rows(store: Store, take: Take) -> None:
    lines = [{"id": i, "text": f"t{i}"} for i in range(5)]
    first = take(lines, id="id")
    events = store.head()
    assert take(lines, id="id") == first
    assert store.head() == events
    moved = take(lines[::-1], id="id")  # another file: read again, nothing new
    assert (moved.facts["rows"], moved.facts["new"]) == (5, 0)
    assert store.get_set(moved.set) == store.get_set(first.set)
    assert store.committed() == 5


def test_a_changed_line_is_a_new_row_beside_the_old_one(store: Store, take: Take) -> None:
    take([{"id": 1, "text": "a"}], id="id")
    report = take([{"id": 1, "text": "b"}], id="id")
    assert list(store.get_set(report.set)) == [1]
    assert store.find_rows("tickets:1") == [0, 1]


def test_rows_are_found_by_source_and_record_and_by_digits(store: Store, take: Take) -> None:
    take([{"id": "o'hara; --", "text": "a"}, {"id": "b:c", "text": "b"}], id="id")
    row = store.row(0)
    assert store.find_rows("tickets:o'hara; --") == [0]
    assert store.find_rows("tickets:b:c") == [1]
    assert store.find_rows(row.id) == store.find_rows(row.id[5:13]) == [0]
    for text in ("", "x", ":", "tickets:", "tickets:nobody", "b2k1:", row.id[5:10], "other:b:c"):
        assert store.find_rows(text) == [], text


def test_facts_are_kept_and_people_are_pseudonyms(store: Store, take: Take) -> None:
    take(
        [{"n": 7, "text": "a", "who": "zoe@example.org", "conv": "c1", "lic": "MIT", "lang": "de", "tier": 2,
          "by": "m"}],
        id="n", subject="who", group="conv", licence="lic", slices=["lang", "tier", "none"], generator="by",
    )  # fmt: skip
    row = store.row(0)
    assert (row.record, row.group, row.licence, row.slices, row.generator) == (
        "7", "c1", "MIT", {"lang": "de", "tier": "2"}, "m",
    )  # fmt: skip
    assert row.subject == store.keys.pseudonym("zoe@example.org")
    index = store.index()
    assert [index.sets["slice"].get(name) == store.get_set(store.put_set(index.sets["source"].get("tickets")))
            for name in ("lang=de", "tier=2")] == [True, True]  # fmt: skip
    data = b"".join(p.read_bytes() for p in store.root.rglob("*") if p.is_file())
    assert b"zoe@example.org" not in data


# -- rights ------------------------------------------------------------------------------------------------------------


def test_a_missing_right_is_quarantined_and_admitted_once_it_is_claimed(store: Store, take: Take) -> None:
    lines = [{"id": 1, "text": "a", "who": "p", "lic": None}, {"id": 2, "text": "b", "who": None, "lic": "MIT"}]
    facts = {"id": "id", "subject": "who", "licence": "lic"}
    none = take(lines, claims={"licence": None, "consent_basis": None}, **facts)
    assert (none.facts["quarantined"], none.facts["rows"]) == ({"no_licence": 1}, 1)
    licence = take(lines, claims={"consent_basis": None}, **facts)
    assert (licence.facts["quarantined"], licence.facts["new"]) == ({"no_consent_basis": 1}, 0)
    not_personal = take(lines, claims={"consent_basis": "not-personal"}, **facts)
    assert not_personal.facts["quarantined"] == {"no_consent_basis": 1}
    both = take(lines, **facts)
    assert (both.facts["quarantined"], both.facts["rows"], both.facts["new"]) == ({}, 2, 1)
    assert [store.row(o).licence for o in range(2)] == ["MIT", "CC-BY-4.0"]
    for report in (none, licence, both):
        accounted(report)


def test_new_rows_of_a_person_who_withdrew_are_refused(store: Store, take: Take) -> None:
    take([{"text": "a", "who": "p"}, {"text": "a", "who": "q"}], subject="who")
    change(store, f"subject:{store.keys.pseudonym('p')}", "withdraw")
    report = take([{"text": t, "who": who} for t in "ab" for who in "pq"], subject="who")
    assert report.facts["quarantined"] == {"withdrawn": 1}
    assert (report.facts["rows"], report.facts["new"]) == (3, 1)  # the old row stays recorded: curation leaves it out
    change(store, f"subject:{store.keys.pseudonym('p')}", "grant")
    assert take([{"text": t, "who": who} for t in "ab" for who in "pq"], subject="who").facts["rows"] == 4


@pytest.mark.parametrize("about", ["source:tickets", "licence:MIT"])
def test_new_rows_under_a_withdrawn_right_are_refused(store: Store, take: Take, about: str) -> None:
    change(store, about, "withdraw")
    report = take([{"text": "a", "lic": "MIT"}, {"text": "b", "lic": "CC0-1.0"}], licence="lic")
    assert report.facts["quarantined"] == {"withdrawn": 2 if about == "source:tickets" else 1}


# -- parents -----------------------------------------------------------------------------------------------------------


def test_parents_are_found_in_this_file_and_in_earlier_sources(store: Store, take: Take) -> None:
    take([{"id": f"t{i}", "text": f"t{i}"} for i in range(3)], id="id")
    made = [
        {"id": "late", "text": "made from one below", "of": ["below", "tickets:t1"]},
        {"id": "below", "text": "made from a ticket", "of": "tickets:t0"},
        {"id": "lost", "text": "made from nothing known", "of": ["tickets:t9"]},
        {"id": "lost too", "text": "made from a lost one", "of": ["lost"]},
        {"id": "self", "text": "made from itself", "of": ["self"]},
        {"id": "free", "text": "made from none", "of": []},
    ]
    report = take(made, "derived", id="id", parents="of")
    assert report.facts["quarantined"] == {"parent": 3}
    accounted(report)
    at = {store.row(o).record: store.row(o) for o in range(store.committed())}
    assert at["below"].parents == (0,)
    assert sorted(at["late"].parents) == [1, at["below"].ordinal]
    assert at["free"].parents == ()
    index = store.index()
    assert index.descendants(row_set([0])) == row_set([at["below"].ordinal, at["late"].ordinal])
    assert verify(store) == []


def test_a_parent_may_stand_any_number_of_batches_further_down(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.rows.BATCH_ROWS", 3)
    lines = [
        {"id": i, "text": f"t{i}", "of": [str(19 - i)] if i < 8 else [str(i + 1)] if i == 8 else []} for i in range(20)
    ]
    report = take([*lines, {"id": "x", "text": "x", "of": ["y"]}], id="id", parents="of")
    assert (report.facts["rows"], report.facts["quarantined"]) == (20, {"parent": 1})
    at = {store.row(o).record: store.row(o) for o in range(20)}
    assert all(at[str(i)].parents == (at[str(19 - i)].ordinal,) for i in range(8))
    accounted(report)
    assert verify(store) == []


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_a_quarantined_line_has_its_number_reason_and_words_apart(store: Store, take: Take) -> None:
    report = take(b'{"text": "fine"}\n{"text": "secret\n', "mixed")
    table = store.get_table(report.removed).to_pylist()
    assert [(row["line"], row["reason"]) for row in table] == [(2, "syntax")]
    words = store.words(table[0]["words"])
    assert words["line"] == '{"text": "secret'
    assert "character" in words["reason"]
    assert "secret" not in words["reason"]
    assert b"secret" not in canonical(report)
    assert not any("secret" in body for _, body in store.bodies())
    for path in store.root.glob("catalogue.db*"):
        assert b"secret" not in path.read_bytes()


def test_a_file_that_is_no_parquet_says_so(take: Take) -> None:
    with pytest.raises(Unmet, match="Parquet"):
        take(b"PAR1 no", ending=".parquet")


def test_an_ending_that_is_unknown_says_so(take: Take, tmp_path: Path) -> None:
    with pytest.raises(Unmet, match="ending"):
        take(b"x", ending=".txt")


def test_a_record_id_is_used_once_in_a_file_however_far_apart(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.rows.BATCH_ROWS", 3)
    lines = [{"id": f"r{n}", "text": f"text {n}"} for n in range(11)]
    assert take(lines, id="id").facts["quarantined"] == {}  # control: other ids only
    changed = [{"id": "r1", "text": "another text"}, {"id": "r2", "text": "text 2"}]
    report = take([*lines, *changed, {"id": "r11", "text": "text 11"}], id="id")
    assert report.facts["quarantined"] == {"repeated_id": 2}
    assert store.get_table(report.removed)["line"].to_pylist() == [12, 13]
    assert (report.facts["rows"], report.facts["new"]) == (12, 1)
    assert take([changed[0], *lines[2:]], id="id").facts["new"] == 1  # a new file may say something new about r1
    assert store.find_rows("tickets:r1") == [1, 12]
