"""What a newer whence wrote is refused with the words `upgrade whence`, and not a byte is changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from stores import contents, whence

from whence.records import canonical, sha256
from whence.records.judgement import Prompt

pytestmark = pytest.mark.fault


def newer_lock(project: Path) -> None:
    path = project / "whence.lock"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2, "resolved": []}))


def newer_folder(project: Path) -> None:
    (project / ".whence" / "store.json").write_text(json.dumps({"format": 2, "shape": "new"}))


def sql(project: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(project / ".whence" / "catalogue.db")) as database:
        database.execute(statement, values)
        database.commit()


def newer_schema(project: Path) -> None:
    sql(project, "UPDATE alembic_version SET version_num = '9999'")


def put(project: Path, body: dict[str, object]) -> str:
    """A record as a newer whence would store it; the first digits of its digest."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    name = sha256(text.encode())
    row = (name, body["noun"], body.get("name"), text)
    sql(project, "INSERT INTO records (digest, noun, name, body) VALUES (?, ?, ?, ?)", *row)
    return name[7:19]


@pytest.mark.parametrize("newer", [newer_lock, newer_folder, newer_schema])
def test_a_newer_file_is_refused_before_anything_is_done(project: Path, newer: Callable[[Path], None]) -> None:
    newer(project)
    before = contents(project)
    for words in (("run", "--to", "curate"), ("verify",)):
        code, told = whence(project, *words)
        assert code == 1
        assert "upgrade whence" in told
    assert contents(project) == before


def test_a_newer_lock_is_refused_where_there_is_no_store_yet(project: Path) -> None:
    shutil.rmtree(project / ".whence")
    newer_lock(project)
    before = contents(project)
    code, told = whence(project, "run", "--to", "ingest")
    assert (code, "upgrade whence" in told) == (1, True)
    assert contents(project) == before


@pytest.mark.parametrize(
    "body",
    [
        {"noun": "Attestation", "name": "desk@1", "signed": "…"},
        json.loads(canonical(Prompt(template="bare", text="a newer one"))) | {"clauses": ["be kind"]},
    ],
    ids=["a noun", "a field"],
)
def test_a_newer_record_is_refused_by_those_who_meet_it(project: Path, body: dict[str, object]) -> None:
    name = put(project, body)
    before = contents(project)
    for words in (("ask", "why", name), ("verify",)):
        code, told = whence(project, *words)
        assert code == 1
        assert "upgrade whence" in told
    assert contents(project) == before
