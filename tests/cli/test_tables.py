"""Tables that people read."""

from __future__ import annotations

from itertools import pairwise

import pytest

from whence.cli.session import table

HEAD = ("evaluation", "model", "n", "prompt")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_last_column_is_broken_first_and_then_the_widest() -> None:
    rows = [("0123456789ab", f"base {'folder/' * 12}", 300, "instructed, 8 shots " * 4), ("ab", "base", 5, "bare")]
    lines = table(rows, HEAD).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1].split() == ["ab", "base", "5", "bare"]
    assert "".join(line[14:70].strip() for line in lines[2:4]).startswith("base folder/folder/")
    assert all(len(line) - len(line.lstrip()) >= 14 for line in lines[3:-1]), "what goes on stands below its column"


def test_what_fits_stands_as_it_is() -> None:
    lines = table([("a", "b", 1, "c"), ("a", "b", 22, "c")], HEAD).splitlines()
    assert len(lines) == 4
    assert all(one.index("b") == other.index("b") for one, other in pairwise(lines[2:]))
    assert lines[2] == "a           b       1  c"


def test_a_column_without_a_word_is_no_fault() -> None:
    assert table([("a", ""), ("b", "")], ("name", "")).splitlines()[2] == "a"
