"""whence.lock knows the head of the chain; whence init writes a file that parses, whatever the data is called."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whence.project import draft, locked_head, read_lock, read_project, strangers, write_lock
from whence.records import Conflict, Prompt, Unmet
from whence.store import Store, verify


def test_the_lock_keeps_what_was_resolved_and_the_head(store: Store, tmp_path: Path) -> None:
    assert read_lock(tmp_path) == {}
    assert locked_head(tmp_path) is None
    store.append("a", "x")
    write_lock(tmp_path, store, {"snapshot": "sha256:1"})
    store.append("b", "x")
    write_lock(tmp_path, store, {"base": "sha256:2"})
    assert {k: v for k, v in read_lock(tmp_path).items() if k in ("snapshot", "base")} == {
        "snapshot": "sha256:1", "base": "sha256:2",
    }  # fmt: skip
    assert locked_head(tmp_path) == store.head()
    store.append("c", "x")
    assert verify(store, locked_head(tmp_path)) == []
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", '{"head": {}}', '{"version": 2}', '{"version": "1"}', '{"version": null}', "\x00",
     '{"version": 1, "head": {}}', '{"version": 1, "head": 5}'],
)  # fmt: skip
def test_a_lock_that_is_newer_or_broken_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "whence.lock").write_text(text)
    with pytest.raises(Conflict, match="do: "):
        locked_head(tmp_path)


def test_what_the_lock_names_and_the_record_does_not_know_is_found(store: Store, tmp_path: Path) -> None:
    base = store.put(Prompt(template="t", text=""))
    assert strangers(tmp_path, store) == []
    for wrong in ({"base": base}, {"gatu": base}, {"snapshot": "sha256:1"}, {"ingests": [5]}):
        (tmp_path / "whence.lock").unlink(missing_ok=True)
        write_lock(tmp_path, store, wrong)
        assert [finding.check for finding in strangers(tmp_path, store)] == ["store.lock"], wrong


def test_wheels_are_those_of_the_adapter(store: Store, tmp_path: Path) -> None:
    wheels = {"torch-2.13.0-cp311-cp311-linux_x86_64.whl": "00" * 32}
    write_lock(tmp_path, store, {"adapter": "sha256:1", "wheels": wheels})
    write_lock(tmp_path, store, {"base": "sha256:2"})
    assert read_lock(tmp_path)["wheels"] == wheels
    assert [finding.about for finding in strangers(tmp_path, store)] == ["sha256:1", "sha256:2"]
    write_lock(tmp_path, store, {"adapter": "sha256:3"})
    assert "wheels" not in read_lock(tmp_path)


# -- init --------------------------------------------------------------------------------------------------------------


def claimed(text: str) -> str:
    """The drafted file once its owner has claimed what only a person can."""
    return text.replace("# licence =", "licence =").replace("# consent_basis =", "consent_basis =")


def drafted(folder: Path, name: str, data: bytes) -> str:
    (folder / "base").mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    text = draft(folder / name, folder)
    (folder / "whence.toml").write_text(claimed(text))
    return text


BANKING = b"".join(
    b'{"id": "banking77-train-%d", "text": "where is card %d?", "intent": "%s"}\n'
    % (n, n, b"card_arrival" if n % 2 else b"top_up")
    for n in range(30)
)
CHAT = b"".join(
    json.dumps(
        {"conversation_id": f"c{n // 3}", "user_id": f"u{n % 5}", "channel": "web" if n % 2 else "phone",
         "messages": [{"role": "user", "content": f"hi {n}"}, {"role": "assistant", "content": "hello"}]}
    ).encode() + b"\n"
    for n in range(20)
)  # fmt: skip
TABLE = b"question,answer,customer\n" + b"".join(b"q%d,a%d,p%d\n" % (n, n, n % 3) for n in range(9))


@pytest.mark.parametrize(
    ("name", "data", "mapping"),
    [
        ("train.jsonl", BANKING, {"id": "id", "prompt": "text", "completion": "intent"}),
        ("chat.jsonl", CHAT, {"subject": "user_id", "group": "conversation_id", "slices": ["channel"]}),
        ("faq.csv", TABLE, {"subject": "customer", "prompt": "question", "completion": "answer"}),
    ],
)
def test_a_draft_parses_once_a_licence_and_a_base_are_claimed(
    tmp_path: Path, name: str, data: bytes, mapping: dict[str, object]
) -> None:
    drafted(tmp_path, name, data)
    project = read_project(tmp_path)
    assert dict(project.file.sources[0].map) == mapping
    assert project.file.sources[0].path == name
    assert project.source(0).licence == "CC-BY-4.0"
    assert [step for step, _ in project.steps()] == ["exact_duplicate", "normalised_duplicate", "length"]


def test_a_draft_takes_rows_in(store: Store, tmp_path: Path) -> None:
    from whence.data import Plan, finished, ingest
    from whence.govern import admitter

    drafted(tmp_path, "train.jsonl", BANKING)
    project = read_project(tmp_path)
    part = project.file.sources[0]
    plan = Plan(
        source=project.source(0), path=tmp_path / part.path, format=project.source_format(0), map=part.map, rights=""
    )
    report = finished(store, ingest(store, plan, admitter(store))[0])
    assert report
    assert (report.facts["rows"], report.facts["quarantined"]) == (30, {})
    assert store.row(1).content == {
        "shape": "prompt_completion",
        "prompt": "where is card 1?",
        "completion": "card_arrival",
    }


NAMES = ["my data.jsonl", "a.b..c.jsonl", 'the "best".jsonl', "it's.jsonl", "Zoë✓.jsonl", "👍.jsonl", ".hidden.jsonl",
         "-x.jsonl", "back\\slash.jsonl", "a{b}.jsonl", "a#b.jsonl", "..jsonl.jsonl", "   .jsonl"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_draft_parses_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    text = drafted(tmp_path, name, BANKING)
    assert tomllib.loads(text)["sources"][0]["path"] == name
    assert read_project(tmp_path).file.sources[0].path == name


@pytest.mark.parametrize("name", ["new\nline.jsonl", "tab\t.jsonl", "x\x7f.jsonl", "\udcff.jsonl"])
def test_a_name_that_no_project_file_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unmet, match="rename"):
        drafted(tmp_path, name, BANKING)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=3) | st.integers(), min_size=1), min_size=1))
def test_a_draft_is_toml_whatever_the_fields_are_called(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert tomllib.loads(drafted(tmp_path, "data.jsonl", data))["sources"][0]["path"] == "data.jsonl"


def test_a_field_of_another_plane_is_named_as_it_is(tmp_path: Path) -> None:
    text = drafted(
        tmp_path, "d.jsonl", b"".join(b'{"text": "%d", "\xf0\x9f\x91\x8d": "%d"}\n' % (n, n % 2) for n in range(9))
    )
    assert tomllib.loads(text)["sources"][0]["map"]["slices"] == ["👍"]


@pytest.mark.parametrize(
    ("name", "data"), [("a.jsonl", b""), ("a.jsonl", b"{\n"), ("a.txt", b"x"), ("a.parquet", b"x")]
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Unmet):
        draft(tmp_path / name, tmp_path)
    with pytest.raises(Unmet):
        draft(tmp_path / "none.jsonl", tmp_path)
