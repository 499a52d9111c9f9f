"""What whence init says of data and folders that it cannot use, or only in part."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

import whence
from whence.cli import main
from whence.project import draft
from whence.records import BackendFailed, Unmet

TABLE = b"question,answer,customer\n" + b"".join(b"q%d,a%d,p%d\n" % (n, n, n % 3) for n in range(9))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json", "a.parquet"])
def test_an_empty_file_is_called_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Unmet, match=r"is empty(.|\n)*expected: \w+ records(.|\n)*do: "):
        draft(tmp_path / name, tmp_path)


def test_a_header_alone_holds_no_record(tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_bytes(TABLE[:25])
    with pytest.raises(Unmet, match="holds no record"):
        draft(tmp_path / "faq.csv", tmp_path)


def test_records_that_cannot_be_read_are_counted_and_the_first_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faq.csv").write_bytes(TABLE + b'one,two\none,two\n"cut\n')
    monkeypatch.chdir(tmp_path)
    said = "3 of the first 12 records cannot be read: columns 2, syntax 1; line 11: 2 fields, the header has 3"
    assert main(["init", "faq.csv"]) == 0
    assert f"note: {said}\n" in capsys.readouterr().out
    text = (tmp_path / "whence.toml").read_text()
    assert f"# 9 records looked at; the first is read as prompt_completion\n# NOTE: {said}\n[[sources]]\n" in text
    assert tomllib.loads(text)["sources"][0]["path"] == "faq.csv"


def test_where_none_can_be_read_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(b"{\n[]\n")
    with pytest.raises(Unmet, match="2 of the first 2 records cannot be read: syntax 2; line 1: "):
        draft(tmp_path / "bad.jsonl", tmp_path)


def test_a_folder_that_cannot_take_the_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "faq.csv"
    data.write_bytes(TABLE)
    with pytest.raises(Unmet, match=r"there is no folder .*nope(.|\n)*expected(.|\n)*do: "):
        whence.init(data, tmp_path / "nope")
    with pytest.raises(Unmet, match="is no folder"):
        whence.init(data, data)
    with monkeypatch.context() as patched, pytest.raises(BackendFailed, match=r"may not write there\n  do: "):
        patched.setattr(os, "access", lambda *_: False)
        whence.init(data, tmp_path)
    (tmp_path / "whence.toml").mkdir()
    with pytest.raises(Unmet, match=r"whence\.toml is a folder"):
        whence.init(data, tmp_path, force=True)


@pytest.mark.parametrize(
    ("field", "value", "offered"),
    [
        ("created_at", "2026-10-01T08:00:00Z", True),
        ("timestamp", "2026-10-01T08:00:00+02:00", True),
        ("created_at", "2026-10-01T08:00:00", False),
        ("created_at", "yesterday", False),
        ("timestamp", 1790000000, False),
        ("deadline", "2026-10-01T08:00:00Z", False),
    ],
)
def test_a_time_is_offered_as_when_rows_were_collected(
    tmp_path: Path, field: str, value: object, offered: bool
) -> None:
    rows = [{"id": str(n), "prompt": f"q{n}", "completion": "a", field: value} for n in range(3)]
    (tmp_path / "faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = draft(tmp_path / "faq.jsonl", tmp_path)
    tomllib.loads(text)
    found = [
        line.removeprefix("# ") for line in text.splitlines() if line.startswith("# map = { id") and "faq" not in line
    ]
    dated = [line for line in found if "collected_at" in line]
    assert bool(dated) is offered
    if offered:
        assert tomllib.loads(dated[0])["map"] == {"id": "id", "collected_at": field}
