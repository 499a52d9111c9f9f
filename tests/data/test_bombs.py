"""Records that do not end and files that inflate: their neighbours are rows, and memory stays within bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench.bombs import FRAMES, NEIGHBOURS, one, pieces

from whence.data import Plan, ingest
from whence.records import RunReport, Source, Unmet
from whence.store import Store, verify

Take = Callable[..., RunReport]
LINE, BOMB = 200_000_000, 1 << 29
PEAK_MIB = 700
"""Of the whole process, of which its libraries are some 250: far from the line, and further from the bomb."""


@pytest.mark.parametrize(("format", "packer"), [("jsonl", ""), ("csv", ".gz"), ("json", ".zst"), ("datasets", "")])
def test_a_line_of_200_mb_is_quarantined_in_bounded_memory(format: str, packer: str) -> None:
    said = one(format, packer, LINE, "x")
    assert (said["rows"], said["quarantined"], said["damaged"]) == (2 * NEIGHBOURS, {"too_long": 1}, 0)
    assert said["peak_mib"] < PEAK_MIB


def test_a_parquet_value_of_200_mb_is_quarantined() -> None:
    said = one("parquet", "", LINE, "x")
    assert (said["rows"], said["quarantined"]) == (2 * NEIGHBOURS, {"too_long": 1})
    assert said["peak_mib"] < 2 * PEAK_MIB  # Parquet pages are unpacked whole


@pytest.mark.parametrize(
    ("format", "packer", "fill"), [("jsonl", ".gz", "x"), ("csv", ".zst", "x"), ("json", ".zst", "brackets")]
)
def test_a_bomb_is_one_fault_in_bounded_memory_and_is_seen_to_go_on(format: str, packer: str, fill: str) -> None:
    said = one(format, packer, BOMB, fill)
    assert said["file_bytes"] < BOMB // 500
    assert (said["rows"], said["quarantined"], said["damaged"]) == (2 * NEIGHBOURS, {"too_long": 1}, 0)
    assert said["peak_mib"] < PEAK_MIB
    assert said["told"] > 10


@pytest.mark.parametrize("format", FRAMES)
def test_the_same_file_with_a_short_record_is_rows_only(take: Take, format: str) -> None:
    data = b"".join(pieces(format, 1 << 20, b"x"))
    report = take(data, ending=f".{format}")
    assert (report.facts["rows"], report.facts["quarantined"]) == (2 * NEIGHBOURS + 1, {})


def test_one_json_value_that_is_no_array_is_refused_over_the_limit(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.json_file.MAX_BYTES", 3 << 20)
    body = b'{"data": [' + b",".join(b'{"text": "%d"}' % n for n in range(300_000)) + b"]}"
    with pytest.raises(Unmet, match="jq -c"):
        take(body, ending=".json")
    assert take(body[: 2 << 20].rpartition(b",")[0] + b"]}", "short", ending=".json").facts["rows"] > 100_000
    assert verify(store) == []


def test_rows_are_written_before_they_fill_the_memory(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.rows.BATCH_BYTES", 100_000)
    assert take([{"text": f"{n} " + "x" * 30_000} for n in range(20)]).facts["rows"] == 20
    assert len(store.events("rows.appended")) == 5


def test_a_file_of_nothing_but_bad_lines_is_stopped_and_says_where_to_look(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.rows.MAX_BAD", 1000)
    with pytest.raises(Unmet, match=r"1,000 lines cannot be read, up to line 1,001"):
        take(b"x\n" * 2000)
    assert verify(store) == []
    assert take(b"x\n" * 1000, "fewer").facts["quarantined"] == {"syntax": 1000}
    assert take(b"y\n", "one").facts["quarantined"] == {"syntax": 1}
    journal = store.journal("quarantine")
    kept = [entry for segment in journal.segments() for entry, _ in journal.scan(segment)]
    assert len(kept) == 1001, "the words of the ingest that was stopped are gone, those of the others are there"


def test_a_fact_that_is_no_name_but_a_book_is_quarantined(take: Take) -> None:
    long = "x" * 5000
    rows = [{"id": "a", "text": "t"}, {"id": long, "text": "t"}, {"id": "b", "who": long, "text": "t"},
            {"id": "c", "lang": long, "text": "t"}, {"id": "d", "of": [long] * 300, "text": "t"},
            {"id": "e", "text": long}]  # fmt: skip
    report = take(rows, id="id", subject="who", slices=["lang"], parents="of")
    assert (report.facts["rows"], report.facts["quarantined"]) == (2, {"value": 4})


# -- shapes that only Arrow has ----------------------------------------------------------------------------------------


def columns(store: Store, path: Path, table: pa.Table, **kwargs: int) -> RunReport:
    from whence.data import finished

    pq.write_table(table, path, **kwargs)
    source = Source(name="t", kind="scraped", location="t", licence="MIT")
    plan = Plan(source=source, path=path, format="parquet", map={}, rights="none")
    report = finished(store, ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))[0])
    assert report
    return report


def test_nested_nulls_are_absent_or_faults_of_their_own_row(store: Store, tmp_path: Path) -> None:
    turn = {"role": "user", "content": "a"}
    messages = [
        [turn], None, [], [None], [{"role": None, "content": "a"}], [{"role": "user", "content": None}], [turn, None],
        [{"role": "user", "content": "b", "extra": {"deep": [None, {"deeper": None}]}}],
    ]  # fmt: skip
    report = columns(store, tmp_path / "t.parquet", pa.table({"messages": messages}))
    bad = store.get_table(report.removed).to_pylist()
    assert [(row["line"], row["reason"]) for row in bad] == [(n, "shape") for n in range(2, 8)]
    assert store.row(0).content["messages"] == [turn]
    assert store.row(1).content["messages"] == [{"role": "user", "content": "b", "extra": {"deep": [None, {}]}}]


def test_a_value_that_python_has_not_costs_its_row(store: Store, tmp_path: Path) -> None:
    late = pa.array([0, 2**62, 1], pa.timestamp("us"))
    text = pa.Array.from_buffers(pa.string(), 3, pa.array([b"ok", b"\xff\xfe", b"ok"], pa.binary()).buffers())
    report = columns(store, tmp_path / "t.parquet", pa.table({"text": text, "at": late}))
    bad = store.get_table(report.removed).to_pylist()
    assert [(row["line"], row["reason"]) for row in bad] == [(2, "value")]


def test_a_table_with_a_column_twice_is_refused(store: Store, tmp_path: Path) -> None:
    twice = pa.table([["a"], ["b"]], names=["text", "text"])
    with pytest.raises(Unmet, match="names a column twice"):
        columns(store, tmp_path / "twice.parquet", twice)
