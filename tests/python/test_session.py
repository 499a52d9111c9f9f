"""`whence.open`: the verbs of the command line as values, nothing global, nothing left behind."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

import whence
from serve.shelf import paper_base
from whence.cli import VERBS
from whence.models import load_base
from whence.records import Base, Event, Snapshot, Step
from whence.register import register_base
from whence.store import Store
from whence.verbs import Removed, Session

NOT_HERE = {("demo",), ("init",)}
"""`whence.init` is a function of the module; the demo is a story told in a terminal."""
LEFT_OUT = {("serve", "gateway"): ("serve",)}
"""Commands whose last word may be left out."""
SPELLED = {"as": {"actor", "answered_by"}} | {word: {word, "whom"} for word in ("name", "at", "model", "key")}
SPELLED |= {"list": {"ids"}, "document": {"documents"}, "evidence": {"evidence", "junit"}}
"""Option → parameters, where the option is a word of Python or may be repeated, or several of them are one value
(`Hosted`), or it is a verb of its own (`w.check.list`) or needs no session (`ship --evidence`)."""


def test_importing_whence_loads_next_to_nothing_and_opening_one_no_torch(project: Path) -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import whence\n"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)))\n"
        f"w = whence.open({str(project)!r}, create=True); w.data.curate(); w.ask.why('tickets:t-1'); w.verify()\n"
        "print(*sorted({'torch', 'transformers', 'trl', 'peft', 'starlette', 'uvicorn'} & set(sys.modules)), end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    alone, heavy = done.stdout.split("\n")
    assert alone.split() == ["whence"]
    assert heavy == ""


def commands() -> list[tuple[tuple[str, ...], typer.main.TyperCommand]]:
    """Every command of the command line, with the words that call it."""
    from importlib import import_module

    found = []
    for verb in VERBS:
        command = typer.main.get_command(import_module(f"whence.cli.{verb}").app)
        inner = getattr(command, "commands", {})
        if not inner or getattr(command, "invoke_without_command", False):
            found.append(((verb,), command))
        for name, sub in inner.items():
            below = getattr(sub, "commands", {})
            found += [((verb, name, last), one) for last, one in below.items()] if below else [((verb, name), sub)]
    return [(words, command) for words, command in found if words not in NOT_HERE]


@pytest.mark.parametrize(("words", "command"), commands(), ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_every_command_is_a_verb_with_the_same_parameters(
    words: tuple[str, ...], command: typer.main.TyperCommand, project: Path
) -> None:
    with whence.open(project, create=True) as w:
        verb = w
        for word in LEFT_OUT.get(words, words):
            verb = getattr(verb, word.replace("-", "_"))
        taken = set(inspect.signature(verb).parameters)
    asked = {name.lstrip("-") for p in command.params for name in p.opts} - {"json", "help"}
    assert all(SPELLED.get(name, {name.replace("-", "_")}) & taken for name in asked)


def test_the_walk_of_a_project_in_values(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with whence.open(project, create=True, actor="ann@example.org") as w:
        walked = w.data.curate()
        assert [(s.name, s.fresh) for s in walked.stages] == [("ingest", True), ("curate", True)]
        assert [s.fresh for s in w.run("curate").stages] == [False, False]
        [cut] = w.data.quarantine("tickets", words=True)
        assert (cut.line, cut.reason, cut.words["line"]) == (14, "syntax", '{"id": "t-cut", "text": "cut')
        assert "t-cut" not in repr(cut)
        steps = w.data.removed()
        assert all(isinstance(s, Step) for s in steps)
        assert w.data.removed(step="exact_duplicate") == [
            Removed(row="tickets:t-again", ordinal=12, reason="exact_duplicate", because="tickets:t-0")
        ]
        listed = w.data.list()
        assert listed.sources == {"tickets": 13}
        assert [s.rows for s in listed.snapshots.values()] == [12]
        assert w.data.show("tickets:t-3").content["completion"] == "card"
        why = w.ask.why("tickets:t-3")
        assert ([n.kind for n in why.made_from], [n.kind for n in why.went_into]) == (["Source"], ["Snapshot"])
        assert "question 3" not in repr(why)
        assert w.ask.why(walked.snapshot).record == w.store.get(walked.snapshot, Snapshot)
        assert len(w.ask.blast_radius(subject="c-3", what_if=True).direct) == 2
        gone = w.rights.withdraw(subject="c-3", reason="asked on the phone")
        assert gone.blast.live == ()
        assert {one.id: one.rows for one in gone.blast.snapshots} == {walked.snapshot: 2}
        assert w.data.curate().snapshot != walked.snapshot
        assert (w.eval.list(), w.model.list(), w.verify()) == ({}, [], [])
        assert [e.actor for e in w.store.events("rights.withdraw")] == ["ann@example.org"]
        assert repr(w) == (
            f"<whence {project}, as ann@example.org: 13 rows, 2 snapshots, 0 adapters, 0 releases, "
            f"{w.store.head()[0]} events>"
        )
    assert "closed" in repr(w)
    assert capfd.readouterr().out == ""


def test_the_command_line_prints_what_the_verbs_return(project: Path) -> None:
    def said(*words: str) -> object:
        done = subprocess.run(
            [sys.executable, "-m", "whence", "-C", str(project), *words, "--json"], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    with whence.open(project, create=True) as w:
        out = w.data.curate()
        assert said("data", "list") == {
            "sources": [{"source": "tickets", "rows": 13}],
            "snapshots": [{"snapshot": ref, "name": s.name, "rows": s.rows, "root": s.root}
                          for ref, s in w.data.list().snapshots.items()],
        }  # fmt: skip
        assert said("data", "quarantine") == [{"source": "tickets", "line": 14, "reason": "syntax"}]
        assert said("ask", "why", "tickets:t-1")["went_into"][0]["id"] == out.snapshot
        assert said("ask", "blast-radius", "--subject", "c-1", "--what-if")["rows"]["direct"]["count"] == 2
        assert said("run", "--to", "curate")["snapshot"] == out.snapshot
        assert said("rights", "withdraw", "--subject", "c-1")["events"] == [w.store.events("rights.withdraw")[0].seq]


def test_what_cannot_be_is_refused_with_what_to_do(project: Path, tmp_path: Path) -> None:
    with pytest.raises(whence.NotFound, match="there is no store"):
        whence.open(project)
    with pytest.raises(whence.NotFound):
        whence.open(tmp_path / "nowhere")
    for folder, found in [(tmp_path / "empty", "there is no whence.toml"), (tmp_path / "faulty", "unknown key")]:
        folder.mkdir()
        if folder.name == "faulty":
            (folder / "whence.toml").write_text("[bse]\n")
        with pytest.raises(whence.Unmet, match=found):
            whence.open(folder, create=True)
        assert not (folder / ".whence").exists()
    with whence.open(project, create=True) as w:
        for verb, found in [
            (lambda: w.run("nowhere"), "no stage"),
            (lambda: w.ask.blast_radius(what_if=True), "nothing is named"),
            (lambda: w.rights.withdraw(), "nothing is named"),
            (lambda: w.rights.withdraw(source="tickets", valid_at="yesterday"), "yesterday"),
            (lambda: w.rights.withdraw(source="tickets", valid_at=datetime(2026, 1, 1)), "no time zone"),
            (lambda: w.rights.withdraw(source="tickts"), "no source is called 'tickts'"),
            (lambda: w.rights.withdraw(licence="CC-BY-4"), "did you mean 'CC-BY-4.0'"),
            (lambda: w.run("evaluate"), "no dev suite"),
            (lambda: w.data.quarantine("tickts"), "no source is called 'tickts'"),
            (lambda: w.ship.alias("desk"), "no alias is called 'desk'"),
            (lambda: w.ship.waive("because", "2030-01-01"), "no verdict"),
            (lambda: w.ask.blast_radius(subject="c-1"), "nothing is known of"),
            (lambda: w.data.removed(), "no snapshot"),
            (lambda: w.data.removed(step="x") if w.data.curate() else None, "no step 'x'"),
            (lambda: w.data.show("nothing"), "nothing in the record"),
            (lambda: w.serve(port=0).start(), "nothing to serve"),
            (lambda: whence.init(project / "tickets.jsonl", project), "is there already"),
        ]:
            with pytest.raises(whence.WhenceError, match=found):
                verb()
        (project / "whence.toml").write_text((project / "whence.toml").read_text() + '[store]\npath = "other"\n')
        with pytest.raises(whence.Conflict, match="open it again"):
            w.run("ingest")
    for verb in (w.verify, lambda: w.ask.why("tickets:t-1"), w.store.head, lambda: w.store.write_words("payload", {})):
        with pytest.raises(whence.Unmet, match="was closed"):
            verb()


def test_a_base_is_needed_from_training_on_and_said_before_anything_is_read(project: Path) -> None:
    (project / "base").rmdir()
    with whence.open(project, create=True) as w:
        with pytest.raises(whence.Unmet, match="there is no folder"):
            w.run("train")
        assert w.store.committed() == 0
        assert w.run("curate").snapshot


def test_a_right_withdrawn_before_the_first_row_holds(project: Path) -> None:
    with whence.open(project, create=True) as early:
        early.rights.withdraw(subject="c-2")
    with whence.open(project) as w:
        out = w.data.curate()
        assert w.store.get(out.snapshot, Snapshot).rows == 10
        assert {q.reason for q in w.data.quarantine()} == {"syntax", "withdrawn"}


def test_a_faulty_project_file_keeps_nobody_from_asking_the_record(project: Path) -> None:
    with whence.open(project, create=True) as w:
        w.data.curate()
    (project / "tickets.jsonl").unlink()
    with whence.open(project) as w:
        assert w.ask.why("tickets:t-1").kind == "Row"
        with pytest.raises(whence.Unmet, match="there is no file"):
            w.run("curate")
    (project / "whence.toml").write_text("[store\n")
    with pytest.raises(whence.Unmet, match="TOML"):
        whence.open(project)


@pytest.mark.parametrize("where", ["desk", "desk/whence.toml", "desk/.whence"])
def test_a_project_is_opened_by_its_folder_file_or_store(project: Path, where: str) -> None:
    with whence.open(project, create=True) as w:
        w.data.ingest()
    with whence.open(project.parent / where) as again:
        assert (again.folder, again.store.root) == (project, project / ".whence")
        assert again.verify() == []


def test_two_projects_in_one_process_share_nothing(
    make_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHENCE_STORE", str(tmp_path / "elsewhere"))
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    one = whence.open(make_project("one"), create=True, actor="one@example.org", clock=lambda: noon)
    two = whence.open(make_project("two", 5), create=True, actor="two@example.org", clock=lambda: noon + timedelta(1))
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    monkeypatch.setenv("WHENCE_ACTOR", "nobody@example.org")
    monkeypatch.setenv("WHENCE_KEYS", str(tmp_path / "wrong.key"))
    both = [threading.Thread(target=w.data.curate) for w in (one, two)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    for w, actor, at, rows in ((one, "one@example.org", noon, 13), (two, "two@example.org", noon + timedelta(1), 6)):
        with w:
            w.rights.withdraw(subject="c-0")
            assert {(e.actor, e.recorded_at) for e in w.store.events()} == {(actor, at)}
            assert w.store.committed() == rows
            assert w.verify() == []
    assert one.store.keys.pseudonym("c-0") != two.store.keys.pseudonym("c-0")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["away", "one", "two"]
    assert list((tmp_path / "away").iterdir()) == []


def test_two_sessions_on_one_folder_see_each_other(project: Path) -> None:
    with whence.open(project, create=True) as one, whence.open(project) as two:
        two.verify()
        one.data.curate()
        assert two.verify() == []
        assert two.data.list().sources == {"tickets": 13}
        assert len(two.ask.blast_radius(subject="c-1", what_if=True).direct) == 2
        moved = two.rights.withdraw(subject="c-1")
        assert isinstance(one.store.events("rights.withdraw")[-1], Event)
        assert len(moved.blast.snapshots) == 1
        assert one.verify() == []


def test_without_a_path_the_environment_decides_as_for_the_command_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("WHENCE_STORE", "../elsewhere/store")
    monkeypatch.setenv("WHENCE_ACTOR", "env@example.org")
    with whence.open(create=True) as w:
        monkeypatch.chdir(tmp_path)
        w.data.ingest()
        assert (w.store.root, w.store.actor, w.folder) == (tmp_path / "elsewhere/store", "env@example.org", project)


def test_a_base_beside_the_project_file_is_found_from_a_store_elsewhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store finds the base again from its own place, whatever the working directory was when it was named."""
    fingerprints = []
    (project / "base").rmdir()
    paper_base(project / "base")
    file = project / "whence.toml"
    file.write_text(file.read_text() + '[store]\npath = "../far/away/store"\n')
    for away in ("a", "b"):
        (tmp_path / away).mkdir()
        monkeypatch.chdir(tmp_path / away)
        with whence.open(project, create=True) as w:
            ref = register_base(w.store, w.project.file.base.path, folder=w.folder)
            location = w.store.get(ref, Base).location
            fingerprints.append(ref)
            assert load_base(location, beside=w.store.root.parent) == project / "base"
    assert len(set(fingerprints)) == 1


def test_nothing_is_left_open(project: Path) -> None:
    def once() -> None:
        with whence.open(project, create=True) as w:
            w.data.curate()
            w.rights.grant(subject="c-0", reason="again")
            w.data.quarantine(words=True)
            w.ask.blast_radius(subject="c-0")
            list(w.store.scan(["ord"]))
            w.verify()
            held.append(w)

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    held: list[Session] = []
    once()
    before = count()
    for _ in range(5):
        once()
    assert count() <= before
    assert not [name for name in map(_target, os.listdir("/proc/self/fd")) if str(project) in name]


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


def test_a_forked_process_is_told_to_open_its_own(project: Path) -> None:
    with whence.open(project, create=True) as w:
        w.data.curate()
        head, read, write = w.store.head(), *os.pipe()
        child = os.fork()
        if child == 0:
            said = []
            for verb in (w.store.head, w.verify, lambda: w.rights.grant(subject="c-0"), lambda: w.store.journal("x")):
                try:
                    verb()
                    said.append("went through")
                except whence.Unmet as error:
                    said.append(str(error))
            w.close()
            with whence.open(project) as mine:
                said.append(str(mine.store.head()))
            os.write(write, json.dumps(said).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            *refused, own = json.loads(pipe.read())
        assert os.waitpid(child, 0)[1] == 0
        assert all("fork" in text and "spawn" in text for text in refused)
        assert own == str(head)
        assert w.store.head() == head
        w.rights.grant(subject="c-0")
        assert w.verify() == []


def test_a_lock_that_a_forked_child_inherited_is_given_back_by_its_parent(store: Store) -> None:
    read, write = os.pipe()
    with store.writer("a long job"):
        child = os.fork()
        if child == 0:
            os.read(read, 1)
            os._exit(0)
    try:
        with Store.open(store.root).writer("the next", wait_s=5):
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child lives, with what it inherited open"
    finally:
        os.write(write, b".")
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
