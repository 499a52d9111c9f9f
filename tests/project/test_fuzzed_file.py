"""Whatever a whence.toml says, it is a Project or an Unmet that names lines of it; never anything else."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_project_file import WHOLE

from whence.models import load_base
from whence.project import Project, read_project
from whence.records import Unmet

fuzzed = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
TEXTS = st.sampled_from(
    ["", " ", "~no-such-user/x", "x" * 300, "./" + "x" * 300, "/a\x00", "a/" * 3000, "\x00", "s3://", "s3://b", "://",
     "s3://k:p@b/x", "memory://x", "file:///etc/passwd", "..", "/", "tickets.jsonl/x", "MIT OR", "(", "LicenseRef-",
     "2026-13-40", "2026-01-01T00:00Z", "chat", "auto", "datasets", "id", "👍", "\u2028", "[", "0"]
) | st.text(max_size=8)  # fmt: skip
PLAIN = (
    TEXTS | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.dates().map(date.isoformat)
    | st.sampled_from([date(2026, 1, 1), time(1, 2), datetime(2026, 1, 1)])
)  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
PIECES = st.sampled_from(
    ["[", "]", "[[", "]]", "=", '"', "'", '"""', "\n", "#", "{", "}", ",", ".", "[x]\n", "[[sources]]\n",
     "[[curate]]\n", "[sources.map]\n", "\n[project]\n", "\x00", "\ud800", "\ufeff", "nan", "inf", "0x",
     "1979-05-27", "map.id = 5\n", "9" * 5000, "[" * 2000, "{a=" * 500, "a.b.c = 1\n", "\r"]
)  # fmt: skip


def toml(value: Any) -> str:
    """A value as TOML spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return value.isoformat() if isinstance(value, date | time) else str(value)


def told(folder: Path, data: bytes) -> Project | str:
    """The project, or what is said; every line that is named is one of the file's."""
    (folder / "whence.toml").write_bytes(data)
    try:
        return read_project(folder)
    except Unmet as error:
        said = str(error)
    numbers = [int(n) for n in re.findall(r"whence\.toml:(\d+): ", said)]
    assert all(1 <= n <= len(data.splitlines()) + 1 for n in numbers)
    assert numbers or "UTF-8" in said or "expected: TOML" in said, said
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tickets.jsonl").write_text('{"id": 1, "text": "a", "intent": "b"}\n')
    (tmp_path / "made.csv").write_text("text\na\n")
    (tmp_path / "base").mkdir()
    return tmp_path


TABLES = ["project", "store", "sources", "curate", "base", "recipe", "suites", "gate", "serving", "other"]
KEYS = [n for n, line in enumerate(WHOLE.splitlines()) if "=" in line]


@fuzzed
@given(line=st.sampled_from(KEYS), value=VALUES)
def test_any_value_at_any_key(folder: Path, line: int, value: Any) -> None:
    lines = WHOLE.splitlines()
    lines[line] = f"{lines[line].partition('=')[0]}= {toml(value)}"
    told(folder, "\n".join(lines).encode())


@fuzzed
@given(table=st.sampled_from(TABLES), value=VALUES)
def test_any_value_for_any_table(folder: Path, table: str, value: Any) -> None:
    kept = re.sub(rf"(?m)^\[+{table}\]+\n(?:(?!\[).+\n|\n)*", "", WHOLE)
    told(folder, f"{table} = {toml(value)}\n{kept}".encode())


@fuzzed
@given(edits=st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 12), PIECES | st.just("")), max_size=4))
def test_a_mutated_file(folder: Path, edits: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut :]
    said = told(folder, text.encode("utf-8", "surrogatepass"))
    if text == WHOLE:
        assert isinstance(said, Project)


@pytest.mark.parametrize(
    "value", ["9" * 5000, "[" * 5000, "{a=" * 2000, '"~no-such-user/x"', f'"./{"x" * 300}"', r'"/\u0000"']
)
@pytest.mark.parametrize("key", ['path = "./base"', "epochs = 1", 'path = "made.csv"', "max_chars = 100"])
def test_odd_values_where_they_hurt(folder: Path, key: str, value: str) -> None:
    said = told(folder, WHOLE.replace(key, f"{key.partition('=')[0]}= {value}").encode())
    if isinstance(said, Project):
        assert key == 'path = "./base"'
        with pytest.raises(Unmet, match="there is no folder"):
            load_base(said.file.base.path, None, folder)


def test_a_project_file_that_is_a_folder_says_so(folder: Path) -> None:
    (folder / "whence.toml").mkdir()
    with pytest.raises(Unmet, match="cannot be read"):
        read_project(folder)


@fuzzed
@given(data=st.binary(max_size=60))
def test_any_bytes(folder: Path, data: bytes) -> None:
    assert isinstance(told(folder, data), str)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('path = "s3://key:secret@bucket/t.jsonl"', "no password"), ('path = "memory://t.jsonl"', "write a file"),
        ('path = "s3://bucket/t"', "set format to one of"), ('path = "zz://t.jsonl"', "no kind of URL"),
        ('path = "s3://bucket/t"\nformat = "datasets"', "from a folder on this machine"),
        ('path = "base"', "state.json is missing"),
        ('path = "tickets.jsonl"\nformat = "datasets"', "expected a folder"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_read_is_told_with_its_line(folder: Path, line: str, said: str) -> None:
    found = told(folder, WHOLE.replace('path = "made.csv"', line).encode())
    assert isinstance(found, str)
    assert said in found
    assert "whence.toml:19: sources[1].path" in found


def test_a_url_and_a_saved_data_set_are_sources(folder: Path) -> None:
    (folder / "saved").mkdir()
    (folder / "saved" / "state.json").write_text('{"_data_files": []}')
    text = WHOLE.replace('"tickets.jsonl"\nkind', '"s3://bucket/t.jsonl.zst"\nkind').replace('"made.csv"', '"saved"')
    project = told(folder, text.encode())
    assert isinstance(project, Project)
    assert [project.source_place(i) for i in range(2)] == ["s3://bucket/t.jsonl.zst", folder / "saved"]
    assert [project.source_format(i) for i in range(2)] == ["jsonl", "datasets"]
    assert project.source(0).location == "s3://bucket/t.jsonl.zst"
