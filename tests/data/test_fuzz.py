"""The fuzzer of `bench.fuzz`, a few hundred lines a reader: nothing breaks, and it would be seen if something did."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import fuzz
from bench.mutate import item

from whence.data.values import Fault
from whence.records import RunReport

SEED = 7


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "FILE_LINES", 160)
    monkeypatch.setattr(fuzz, "STORE_FILES", 3)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_every_line_is_a_row_a_blank_or_in_quarantine(small: None, reader: str) -> None:
    said = fuzz.one_reader(reader, 200, SEED)
    assert said["kept"] == []
    count = said["count"]
    assert count["tracebacks"] == 0
    assert count["rows"] + count["quarantined"] + count["blank"] + count["refused"] > 100
    assert count["rows"] == 0 or count["quarantined"] > 0


def swallow(found: Iterator[Any]) -> Iterator[Any]:
    """A reader that loses a line now and then."""
    return (pair for n, pair in enumerate(found) if n % 50 != 49)


def repeat(found: Iterator[Any]) -> Iterator[Any]:
    """A reader that finds a line twice now and then."""
    for n, pair in enumerate(found):
        yield from [pair] * (1 + (n % 50 == 49))


def fall(found: Iterator[Any]) -> Iterator[Any]:
    """A reader that falls over a bad line."""
    for number, record in found:
        if isinstance(record, Fault):
            raise KeyError(record.code)
        yield number, record


@pytest.mark.parametrize("planted", [swallow, repeat, fall])
@pytest.mark.parametrize("reader", ["jsonl", "csv.gz"])
def test_a_reader_that_breaks_its_promise_is_found(
    small: None, monkeypatch: pytest.MonkeyPatch, reader: str, planted: Callable[..., Iterator[Any]]
) -> None:
    whole = fuzz.read
    monkeypatch.setattr(fuzz, "read", lambda what, format: planted(whole(what, format)))
    said = fuzz.one_reader(reader, 200, SEED)
    assert said["count"]["tracebacks"] > 0
    assert said["kept"]


def test_lines_that_nobody_touched_are_rows(take: Callable[..., RunReport]) -> None:
    rng = random.Random(SEED)
    rows = [item(rng) | {"text": "a word"} for _ in range(300)]
    report = take([{"id": row["id"], "text": row["text"]} for row in rows], id="id")
    assert (report.facts["rows"], report.facts["quarantined"]) == (300, {})
