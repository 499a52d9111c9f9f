"""What the store's folder, its database and the key file give to those who can read or write them."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml

import whence
from serve.outside import chat
from serve.shelf import paper_adapter, paper_base, shelve
from whence import feedback
from whence.models import ScriptedModel
from whence.records import Damaged, NotFound, Trace, Unmet
from whence.register import cards
from whence.serve import Gateway, Settings
from whence.store import KeyFile, Store, tables, verify

PERSON, ASKED, SAID, CORRECTED = "zoe.k@example.org", "my PIN is 4711", "the answer 8080", "corrected 9918"
ROW, BAD_LINE, TOKEN = "the row says 7713", "the broken line 3306", "tok-5502-secret"
CONTENT = (PERSON, ASKED, SAID, CORRECTED, ROW, BAD_LINE)


@pytest.fixture
def lived(store: Store, take: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that has seen rows with a person, a broken line, a served request of that person and a reaction."""
    row = {"id": "t1", "prompt": ROW, "completion": "ok", "who": PERSON}
    lines = json.dumps(row).encode() + b"\n{" + BAD_LINE.encode() + b"\n"
    take(lines, prompt="prompt", completion="completion", subject="who")
    shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    monkeypatch.setenv("WHENCE_TOKEN", TOKEN)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    model = ScriptedModel({ASKED: SAID})
    gateway = Gateway(store, ["desk"], Settings(port=0), model_factory=lambda b, a: model, feedback=feedback.send)
    with gateway as url, httpx.Client(base_url=url, headers=bearer, timeout=60) as http:
        answer = http.post("/v1/chat/completions", json=chat(ASKED, user=PERSON)).json()
        assert answer["choices"][0]["message"]["content"] == SAID
        body = {"trace": answer["id"], "intent": "correction", "text": CORRECTED}
        assert http.post("/v1/feedback", json=body).status_code == 201
    return store


def in_sql(store: Store) -> str:
    """Every value of every table."""
    engine, said = store._engine, []
    with engine.connect() as connection:
        for name in sa.inspect(engine).get_table_names():
            said += [str(tuple(row)) for row in connection.execute(sa.text(f'SELECT * FROM "{name}"'))]  # noqa: S608
    return "\n".join(said)


def files(store: Store) -> Iterator[tuple[Path, bytes]]:
    for path in store.root.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


# -- readers -----------------------------------------------------------------------------------------------------------


def test_no_content_and_no_person_is_in_sql_or_in_an_event(lived: Store) -> None:
    everything = in_sql(lived)
    assert [word for word in (*CONTENT, TOKEN) if word in everything] == []
    raw = b"".join(data for path, data in files(lived) if path.name.startswith("catalogue.db"))
    assert [word for word in (*CONTENT, TOKEN) if word.encode() in raw] == []
    journal = b"".join(data for path, data in files(lived) if "journal" in path.parts)
    assert [word for word in (ASKED, SAID, CORRECTED) if word.encode() not in journal] == [], "the control: it was kept"


def test_the_token_is_nowhere_in_the_store(lived: Store) -> None:
    spelled = [TOKEN, *(hashlib.new(kind, TOKEN.encode()).hexdigest() for kind in ("sha256", "md5", "blake2b"))]
    for path, data in files(lived):
        assert not [word for word in spelled if word.encode() in data], path


def test_a_pseudonym_cannot_be_tried_out_without_the_key(lived: Store, tmp_path: Path) -> None:
    """No digest that somebody could make of a person's identifier without the key file is anywhere in the store, and
    another key file gives another pseudonym."""
    known = lived.keys.pseudonym(PERSON)
    assert known in in_sql(lived), "the control: it is what the record says"
    guesses = []
    for kind in ("sha256", "sha1", "md5", "blake2b", "blake2s", "sha512", "sha3_256"):
        guesses += [hashlib.new(kind, text.encode()).hexdigest()[:32] for text in (PERSON, "subject-" + PERSON)]
    guesses += [hashlib.blake2b(PERSON.encode(), digest_size=size).hexdigest() for size in (16, 32)]
    for path, data in files(lived):
        assert PERSON.encode() not in data, path
        assert not [guess for guess in guesses if guess.encode() in data], path
    assert KeyFile(tmp_path / "other.key").pseudonym(PERSON) != known
    with pytest.raises(Damaged, match="put the file back"):
        Store.open(lived.root, tmp_path / "another.key", actor="x@example.org").keys.pseudonym(PERSON)


def test_words_cannot_be_confirmed_from_their_digest(lived: Store) -> None:
    """The same words have another digest each time, since each is salted; the salt lies with the words."""
    one, two = (lived.write_words("payload", {"text": ASKED}) for _ in range(2))
    assert one != two
    body = json.dumps({"text": ASKED}, separators=(",", ":")).encode()
    assert hashlib.sha256(body).hexdigest() not in in_sql(lived)


def test_others_on_this_machine_read_neither_store_nor_keys(lived: Store) -> None:
    """Whatever the umask lets through: the folder, words and keys are their owner's."""
    mode = lambda path: stat.S_IMODE(os.stat(path).st_mode)  # noqa: E731
    assert mode(lived.root) == 0o700
    assert mode(lived.keys.path) == 0o600
    assert {mode(path) for path in (lived.root / "journal").rglob("*.jsonl")} == {0o600}


def test_a_wide_umask_changes_nothing_about_that(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store.open(tmp_path / "deep" / ".whence", create=True, actor="tester@example.org")
        store.write_words("payload", {"text": ASKED})
        store.keys.pseudonym(PERSON)
        test_others_on_this_machine_read_neither_store_nor_keys(store)
    finally:
        os.umask(before)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "dots", "link"])
def test_keys_do_not_lie_in_the_store(tmp_path: Path, by: str) -> None:
    """A copy of the store is then no copy of the keys."""
    root = tmp_path / ".whence"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    inside = {"name": ".whence/whence.key", "dots": "x/../.whence/k", "link": "link/k"}
    with pytest.raises(Unmet, match="lies inside the store"):
        Store.open(root, tmp_path / inside[by], create=True)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("text", ["TOKEN=1", "TOKEN=1\n", "ssh-rsa AAAA\n# x\n", "\x00\x01"])
def test_a_file_that_is_no_key_file_is_not_written_to(tmp_path: Path, text: str) -> None:
    other = tmp_path / "other"
    other.write_text(text)
    with pytest.raises(Damaged):
        Store.open(tmp_path / ".whence", other, create=True).keys.pseudonym(PERSON)
    assert other.read_text() == text


# -- names that are paths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/../../x", "..", "", "sha256:../x", "x\x00y", "A" * 64]
)
def test_a_blob_s_name_is_no_path(store: Store, name: str) -> None:
    (store.root.parent / "outside").write_text("secret")
    with pytest.raises(NotFound, match="no name of a blob"):
        store.blobs.get(name)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "..", "-x", "", "a\n", "a b", "x\x00", ".hidden"])
def test_names_in_a_project_file_are_no_paths(tmp_path: Path, name: str) -> None:
    """Of the project, a source, a suite and an alias: they become parts of records, refs and folders."""
    from whence.project import read_project

    (tmp_path / "rows.jsonl").write_text("{}\n")
    file = """
[project]
name = {project}
owner = "a@example.org"
[[sources]]
name = {source}
path = "rows.jsonl"
kind = "licensed"
[base]
path = "org/base"
[serving]
alias = {alias}
"""
    fine = {"project": '"desk"', "source": '"rows"', "alias": '"desk"'}
    (tmp_path / "whence.toml").write_text(file.format(**fine))
    assert read_project(tmp_path).file.serving.alias == "desk"
    for part in fine:
        (tmp_path / "whence.toml").write_text(file.format(**fine | {part: json.dumps(name)}))
        with pytest.raises(Unmet, match="1 fault in"):
            read_project(tmp_path)


@pytest.mark.parametrize("segment", ["../../outside", "/etc/hostname"])
def test_a_changed_record_cannot_read_words_elsewhere(lived: Store, segment: str) -> None:
    """Who can write to the database can point a record at any file; what is read there must match the digest."""
    (lived.root / "outside").write_text('{"salt": "00", "body": "secret"}\n')
    (trace,) = [trace for _, trace in lived.all(Trace)]
    with lived._engine.begin() as connection:
        where = tables.contents.c.digest == trace.content
        connection.execute(sa.update(tables.contents).where(where).values(segment=segment))
    with pytest.raises(Damaged) as refusal:
        lived.words(trace.content)
    assert "secret" not in str(refusal.value)
    assert verify(lived) != []


# -- code --------------------------------------------------------------------------------------------------------------

RUNS_CODE = {"eval", "exec", "compile", "__import__"}
OPENS_PICKLES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}
HARMLESS = {"shell": False, "trust_remote_code": False, "allow_pickle": False, "weights_only": True}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def doubtful(call: ast.Call) -> Iterator[str]:
    """What in a call runs code that is not ours, or may."""
    options = {option.arg: option.value for option in call.keywords}
    if isinstance(call.func, ast.Name) and call.func.id in RUNS_CODE:
        yield call.func.id
    for name, harmless in HARMLESS.items():
        value = options.get(name)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is harmless):
            yield name
    loads = isinstance(call.func, ast.Attribute) and call.func.attr == "from_pretrained"
    if loads and ast.unparse(call.func).startswith("Auto") and "trust_remote_code" not in options:
        yield "from_pretrained without trust_remote_code=False"


def test_whence_itself_runs_no_text_and_opens_no_pickle() -> None:
    """Every call and import in the source, read as a tree."""
    found = []
    for path in sorted(Path(whence.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            found += [(path.name, name) for name in imported(node) if name.split(".")[0] in OPENS_PICKLES]
            found += [(path.name, what) for what in (doubtful(node) if isinstance(node, ast.Call) else ())]
    texts_alone, by_fixed_name = ("cards.py", "yaml"), ("read.py", "__import__")
    assert sorted(found) == [texts_alone, by_fixed_name]
    assert cards._Loader in (yaml.BaseLoader, yaml.CBaseLoader), "it makes texts, lists and mappings of texts"
    bad = "eval(x); f(shell=True); AutoModel.from_pretrained(x); torch.load(x, weights_only=no); g(weights_only=True)"
    calls = [node for node in ast.walk(ast.parse(bad)) if isinstance(node, ast.Call)]
    assert len([what for call in calls for what in doubtful(call)]) == 4, "the control: it knows them when it sees them"
