"""Bad input of every kind: named by line and reason, kept apart, and nothing else is stopped by it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.data import Plan, finished, ingest
from whence.records import RunReport, Source
from whence.store import Store, verify

Take = Callable[..., RunReport]
GOOD = b'{"id": "g%d", "text": "good %d"}\n'


def bad(store: Store, report: RunReport) -> list[tuple[int, str]]:
    """(line, code) of each quarantined record; every record is accounted for, and each has readable words."""
    facts = report.facts
    assert facts["rows"] + sum(facts["quarantined"].values()) == facts["lines"], facts
    table = store.get_table(report.removed).to_pylist()
    for row in table:
        words = store.words(row["words"])
        assert words["reason"]
        assert isinstance(words["line"], str)
    return [(row["line"], row["reason"]) for row in table]


LINES = {
    "truncated": (b'{"id": "x", "text": "half a l\n', "syntax"),
    "invalid UTF-8": (b'{"id": "x", "text": "\xff\xfe"}\n', "encoding"),
    "UTF-8 cut off": (b'{"id": "x", "text": "\xc3"}\n', "encoding"),
    "NaN": (b'{"id": "x", "text": "a", "score": NaN}\n', "number"),
    "-Infinity": (b'{"id": "x", "text": "a", "score": -Infinity}\n', "number"),
    "number out of range": (b'{"id": "x", "messages": [{"role": "user", "content": "a", "w": 1e999}]}\n', "value"),
    "number of 5,000 digits": (b'{"id": "x", "text": "a", "n": ' + b"9" * 5000 + b"}\n", "syntax"),
    "repeated key": (b'{"id": "x", "text": "a", "text": "b"}\n', "repeated_key"),
    "repeated nested key": (
        b'{"id": "x", "messages": [{"role": "user", "role": "x", "content": "a"}]}\n',
        "repeated_key",
    ),
    "missing field": (b'{"id": "x", "txt": "a"}\n', "shape"),
    "missing id": (b'{"text": "a"}\n', "value"),
    "null id": (b'{"id": null, "text": "a"}\n', "value"),
    "id that is a list": (b'{"id": ["x"], "text": "a"}\n', "value"),
    "empty text": (b'{"id": "x", "text": "  "}\n', "shape"),
    "text that is a number": (b'{"id": "x", "text": 5}\n', "shape"),
    "messages that are text": (b'{"id": "x", "messages": "hi"}\n', "shape"),
    "role that is a list": (b'{"id": "x", "messages": [{"role": ["user"], "content": "a"}]}\n', "shape"),
    "unknown role": (b'{"id": "x", "messages": [{"role": "bot", "content": "a"}]}\n', "shape"),
    "label that is text": (b'{"id": "x", "prompt": "p", "completion": "c", "label": "yes"}\n', "shape"),
    "bare number": (b"5\n", "syntax"),
    "bare null": (b"null\n", "syntax"),
    "bare list": (b'[{"id": "x", "text": "a"}]\n', "syntax"),
    "bare text": (b'"text"\n', "syntax"),
    "no JSON": (b"id,text\n", "syntax"),
    "two objects": (b'{"id": "x", "text": "a"}{"id": "y", "text": "b"}\n', "syntax"),
    "single quotes": (b"{'id': 'x', 'text': 'a'}\n", "syntax"),
    "trailing comma": (b'{"id": "x", "text": "a",}\n', "syntax"),
    "control character": (b'{"id": "x", "text": "a\x01"}\n', "syntax"),
    "duplicate id": (b'{"id": "g0", "text": "another"}\n', "repeated_id"),
    "100,000 brackets": (b'{"id": "x", "text": ' + b"[" * 100_000 + b"\n", "depth"),
    "100,000 brackets, closed": (b'{"id": "x", "m": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "depth"),
    "400 levels": (b'{"id": "x", "text": "a", "m": ' + b'{"a":' * 400 + b"null" + b"}" * 400 + b"}\n", "depth"),
    "lone surrogate in the text": (b'{"id": "x", "text": "\\ud800"}\n', "encoding"),
    "lone surrogate in the id": (b'{"id": "\\ud800", "text": "a"}\n', "encoding"),
    "lone surrogate in the subject": (b'{"id": "x", "text": "a", "who": "\\udfff"}\n', "encoding"),
    "lone surrogate in the group": (b'{"id": "x", "text": "a", "conv": "\\udfff"}\n', "encoding"),
    "lone surrogate in a slice": (b'{"id": "x", "text": "a", "lang": "\\udfff"}\n', "encoding"),
    "lone surrogate in a parent": (b'{"id": "x", "text": "a", "of": ["\\udfff"]}\n', "encoding"),
    "zero bytes": (b"\x00" * 50 + b"\n", "syntax"),
}


@pytest.mark.parametrize("what", LINES)
def test_a_bad_line_is_named_and_stops_nothing(store: Store, take: Take, what: str) -> None:
    line, code = LINES[what]
    data = GOOD % (0, 0) + line + GOOD % (1, 1)
    report = take(data, id="id", subject="who", group="conv", slices=["lang"], parents="of")
    assert bad(store, report) == [(2, code)]
    assert report.facts["rows"] == 2
    assert [store.row(o).record for o in range(store.committed())] == ["g0", "g1"]


def test_all_bad_lines_at_once_with_crlf_bom_and_no_last_newline(store: Store, take: Take) -> None:
    lines = [line.removesuffix(b"\n") for line, _ in LINES.values()]
    data = b"\xef\xbb\xbf" + b"\r\n".join([(GOOD % (0, 0)).strip(), *lines, b"", b"  ", (GOOD % (1, 1)).strip()])
    report = take(data, id="id", subject="who", group="conv", slices=["lang"], parents="of")
    assert bad(store, report) == [(n, code) for n, (_, code) in enumerate(LINES.values(), 2)]
    assert report.facts["rows"] == 2
    assert verify(store) == []


def test_a_batch_is_not_lost_for_one_line(store: Store, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whence.data.rows.BATCH_ROWS", 4)
    lines = [GOOD % (n, n) for n in range(10)]
    lines[3:3] = [LINES["lone surrogate in the group"][0]]
    report = take(b"".join(lines), id="id", group="conv")
    assert bad(store, report) == [(4, "encoding")]
    assert report.facts["rows"] == 10


def test_a_text_of_5_mb_is_a_row(store: Store, take: Take) -> None:
    long = "x" * 5_000_000
    report = take([{"text": "a"}, {"text": long}, {"text": "b"}])
    assert (report.facts["rows"], report.facts["quarantined"]) == (3, {})
    assert store.row(1).content["text"] == long


def test_a_line_over_the_limit_is_quarantined_by_its_beginning(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whence.data.lines.MAX_BYTES", 1000)
    lines = GOOD % (0, 0) + b'{"text": "' + b"x" * 5000 + b'"}\n' + GOOD % (1, 1)
    assert bad(store, take(lines, id="id")) == [(2, "too_long")]
    data = b"id,text\na,b\nc," + b"x" * 5000 + b"\nd,e\n"
    report = take(data, "csv", ending=".csv", id="id")
    assert (bad(store, report), report.facts["rows"]) == ([(3, "too_long")], 2)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".jsonl.gz", ".csv.gz"])
def test_an_empty_file_has_no_records(store: Store, take: Take, ending: str) -> None:
    report = take(gzip.compress(b"") if ending.endswith("gz") else b"", ending=ending)
    assert report.facts["lines"] == report.facts["rows"] == 0
    assert bad(store, report) == []


def test_only_blank_lines_and_a_missing_last_newline(store: Store, take: Take) -> None:
    assert take(b"\n \r\n\t\n", "blank").facts["lines"] == 0
    assert take(b'\n{"text": "a"}', "open").facts["rows"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: pa.Codec("zstd").compress(data, asbytes=True)])
@pytest.mark.parametrize("cut", [1, 4, 9, 30, 200])
def test_a_truncated_file_keeps_what_came_before(
    store: Store, take: Take, cut: int, pack: Callable[[bytes], bytes]
) -> None:
    lines = b"".join(GOOD % (n, n) for n in range(20_000))
    whole = pack(lines)
    report = take(whole[:-cut], ending=".jsonl.gz", id="id")
    found = bad(store, report)
    assert [code for _, code in found][-1] == "truncated"
    assert report.facts["rows"] >= 10_000
    assert len(found) <= 2


def test_a_gzip_with_a_flipped_byte_is_named(store: Store, take: Take) -> None:
    data = bytearray(gzip.compress(b"".join(GOOD % (n, n) for n in range(2000))))
    data[len(data) // 2] ^= 0xFF
    assert "truncated" in [code for _, code in bad(store, take(bytes(data), ending=".jsonl.gz", id="id"))]


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "rows", "faults"),
    [
        (b"", 0, "syntax"), (b"[", 0, "syntax"), (b"nonsense", 0, "syntax"), (b"\xff", 0, "encoding"), (b"[]", 0, ""),
        (b'{"text": "a"', 0, "syntax"), (b'{"text": "a"} 5', 0, "syntax"), (b"[NaN]", 0, "number"),
        (b'[{"text": "a"}', 1, "syntax"), (b'[{"text": "a"}, {"te', 1, "syntax"), (b'[{"text": "a"},', 1, "syntax"),
        (b'[{"text": "a"}], "more": 5', 0, "syntax"), (b'[{"text": "a"}]}, {"b": 1', 0, "syntax"),
        (b'[{"text": "a", "text": "b"}, {"text": "c"}]', 1, "repeated_key"), (b"[" * 100_000, 0, "depth"),
        (b'[{"text": "a",}, {"text": "},]"}]', 1, "syntax"), (b'[{"text": "\xff"}, {"text": "b"}]', 1, "encoding"),
        (b'[{"text": "a"} {"text": "b"}, {"text": "c"}]', 1, "syntax"),
        (b'[{"text": "a"}}, {"text": "b"}]', 1, "syntax"),
        (b'[{"text": NaN, "m": ["]", {}]}, {"text": "b"}]', 1, "number"),
    ],
)  # fmt: skip
def test_a_bad_element_of_a_json_array_costs_itself(
    store: Store, take: Take, data: bytes, rows: int, faults: str
) -> None:
    report = take(data, ending=".json")
    assert {code for _, code in bad(store, report)} == ({faults} if faults else set())
    assert report.facts["rows"] == rows


def test_a_json_array_is_read_the_same_whatever_lies_in_one_piece(
    store: Store, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = b'[ {"text": "\\ud83d\\udc4d\\"]"}, 1.25e3, -Infinity, {"text": "\xc3\xa9"}, {"text": "\xff"}, '
    held = first + b'{"text": "c", "m": [1'
    whole = take(held, ending=".json")
    assert bad(store, whole) == [(2, "syntax"), (3, "number"), (5, "encoding"), (6, "syntax")]
    for size in (1, 2, 3, 7, 50):
        monkeypatch.setattr("whence.data.json_file.CHUNK", size)
        report = take(held, f"by-{size}", ending=".json")
        assert bad(store, report) == bad(store, whole)
        assert report.facts["rows"] == whole.facts["rows"] == 2


def test_a_bad_record_in_a_json_array_is_counted_by_its_place(store: Store, take: Take) -> None:
    deep: Any = "a"
    for _ in range(200):
        deep = [deep]
    records = [{"text": "a"}, 5, None, {"txt": 1}, {"text": "b", "m": deep}, deep, {"text": "c"}]
    report = take(b"\xef\xbb\xbf" + json.dumps(records).encode(), ending=".json")
    assert bad(store, report) == [(2, "syntax"), (3, "syntax"), (4, "shape"), (5, "depth"), (6, "syntax")]
    assert report.facts["rows"] == 2


# -- CSV ---------------------------------------------------------------------------------------------------------------

HEAD = b"id,prompt,completion\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"x,a\n", "columns"), (b"x,a,b,c\n", "columns"), (b"x,a,\xff\n", "encoding"), (b"x,,b\n", "shape"),
        (b",a,b\n", "value"), (b"g0,a,b\n", "repeated_id"), (b'x,"a"b,c\n', "syntax"), (b'x,"a,b\n', "syntax"),
        (b"x,a\rb,c\n", "syntax"),
    ],
)  # fmt: skip
def test_a_bad_csv_line_stops_nothing(store: Store, take: Take, line: bytes, code: str) -> None:
    data = HEAD + b"g0,a,b\n" + line + b'g1,"c",d\n' + b"g2,e,f\n"
    report = take(data, ending=".csv", id="id")
    assert bad(store, report) == [(3, code)]
    assert [store.row(o).record for o in range(store.committed())] == ["g0", "g1", "g2"]


def test_a_quote_that_never_ends_costs_one_line(store: Store, take: Take) -> None:
    lines = [b"g%d,a,b%d\n" % (n, n) for n in range(500)]
    lines[7] = b'g7,"a,b\n'
    report = take(HEAD + b"".join(lines), ending=".csv", id="id")
    assert (bad(store, report), report.facts["rows"]) == ([(9, "syntax")], 499)


def test_csv_fields_over_several_lines_blank_lines_bom_and_crlf(store: Store, take: Take) -> None:
    data = b'\xef\xbb\xbf"id",prompt, completion\r\n\r\na,"one\r\ntwo",b\r\nshort\r\nc,d,e\r\n\r\n'
    report = take(data, ending=".csv", id="id")
    assert bad(store, report) == [(5, "columns")]
    assert store.row(0).content["prompt"] == "one\r\ntwo"
    assert report.facts["rows"] == 2


@pytest.mark.parametrize("head", [b"id,prompt,prompt\n", b"id,\xff,completion\n"])
def test_a_header_at_fault_faults_every_line(store: Store, take: Take, head: bytes) -> None:
    report = take(head + b"a,b,c\nd,e,f\n", ending=".csv", id="id")
    assert [line for line, _ in bad(store, report)] == [1, 2, 3]


# -- Parquet -----------------------------------------------------------------------------------------------------------


def test_parquet_values_that_json_has_not_are_named(store: Store, take: Take) -> None:
    import datetime
    import decimal

    rows = [
        {"text": "a", "messages": None},
        {"text": None, "messages": [{"role": "user", "content": "x", "at": datetime.datetime(2026, 1, 1)}]},
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    assert bad(store, take(out.getvalue(), "times", ending=".parquet")) == [(2, "value")]
    for name, value in (("bytes", b"x"), ("decimal", decimal.Decimal("1.5")), ("nan", float("nan"))):
        turns = [[{"role": "user", "content": "x", "v": value}]]
        out = io.BytesIO()
        pq.write_table(pa.table({"messages": turns}), out)
        assert bad(store, take(out.getvalue(), name, ending=".parquet")) == [(1, "value")]


def test_a_damaged_parquet_page_faults_its_group_only(store: Store, take: Take) -> None:
    out = io.BytesIO()
    texts = [f"text number {n} " + "x" * (n % 7) for n in range(300)]
    pq.write_table(pa.table({"text": texts}), out, row_group_size=100, compression="snappy", use_dictionary=False)
    data = bytearray(out.getvalue())
    where = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(1).column(0)
    start = where.data_page_offset
    data[start : start + 30] = b"\xff" * 30
    report = take(bytes(data), ending=".parquet")
    table = store.get_table(report.removed).to_pylist()
    assert [(row["line"], row["reason"]) for row in table] == [(101, "truncated")]
    assert "rows 101 to 200" in store.words(table[0]["words"])["reason"]
    assert report.facts["rows"] == 200


# -- fuzz --------------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\ud800", b"\\u0000", b"null", b"1e999", b"-0.0", b"NaN", b"1",
     b'"text"', b'"messages"', b'"role"', b'"user"', b'"content"', b'"id"', b'"who"', b'"prompt"', b'"label"', b"\xff",
     b"\xef\xbb\xbf", b"\n", b"\r\n", b"\r", b" ", b"\x00", b'{"text": "a"}',
     b'{"id": 1, "who": "\\udc00", "text": "a"}']
)  # fmt: skip
FUZZ = st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(
    st.sampled_from(
        ["text", "messages", "prompt", "completion", "chosen", "rejected", "label", "labels", "completions", "tools",
         "id", "who", "conv", "lic", "lang", "of", "by"]
    ),
    JSONS | st.just([{"role": "user", "content": "a"}]) | st.just("a"),
)  # fmt: skip
MAP = {"subject": "who", "group": "conv", "licence": "lic", "slices": ["lang"], "parents": "of", "generator": "by"}
fuzzed = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def fuzz(store: Store, data: bytes, format: str, folder: Path) -> None:
    path = folder / "fuzz"
    path.write_bytes(data)
    source = Source(name="fuzz", kind="scraped", location="fuzz", licence="MIT", consent_basis="consent")
    plan = Plan(source=source, path=path, format=format, map=MAP, rights="none")
    run, _ = ingest(store, plan, lambda source, subjects, *_: [None] * len(subjects))
    report = finished(store, run)
    assert report
    bad(store, report)


@pytest.mark.parametrize("format", ["jsonl", "json", "csv"])
@fuzzed
@given(data=FUZZ)
def test_no_bytes_raise(store: Store, tmp_path: Path, format: str, data: bytes) -> None:
    fuzz(store, data, format, tmp_path)


@fuzzed
@given(data=FUZZ, cut=st.integers(0, 40))
def test_no_gzip_raises(store: Store, tmp_path: Path, data: bytes, cut: int) -> None:
    packed = gzip.compress(data)
    fuzz(store, packed[: max(len(packed) - cut, 2)], "jsonl", tmp_path)


@fuzzed
@given(records=st.lists(RECORDS, max_size=4))
def test_no_records_raise(store: Store, tmp_path: Path, records: list[dict[str, Any]]) -> None:
    fuzz(store, b"\n".join(json.dumps(r).encode() for r in records), "jsonl", tmp_path)
    fuzz(store, json.dumps(records).encode(), "json", tmp_path)
