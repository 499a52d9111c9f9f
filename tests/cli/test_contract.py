"""The command line as a contract: its verbs, its exit codes, what it loads, what it prints for programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whence.cli import VERBS, main

ALLOWED = {"whence", "typer", "shellingham", "annotated_doc", "typing_extensions", "_virtualenv", "__editable___whence"}
"""Top-level modules outside the standard library that `whence --help` may load."""


def whence(*words: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    surroundings = {**os.environ, "COLUMNS": "100", **env}
    return subprocess.run(
        [sys.executable, "-m", "whence", *words], capture_output=True, text=True, cwd=cwd, env=surroundings, check=False
    )


def test_help_lists_the_verbs_and_loads_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from whence.cli import main\n"
        "main(['--help'])\n"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "print('LOADED', *sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, loaded = done.stdout.strip().splitlines()
    assert set(loaded.split()[1:]) <= ALLOWED
    shown = [line.split()[0] for line in text[[*text].index("Verbs:") + 1 :]]
    assert shown == list(VERBS)
    assert len(VERBS) <= 15


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_help_with_an_example_and_json(verb: str) -> None:
    top = whence(verb, "--help")
    assert top.returncode == 0
    listed = top.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    commands = [(verb, line.split()[0]) for line in listed if line[2:3].strip()] or [(verb,)]
    for words in commands:
        shown = whence(*words, "--help").stdout
        below = shown.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
        if below and len(words) == 2:
            commands += [(*words, line.split()[0]) for line in below if line[2:3].strip()]
            continue
        assert "Example: whence" in shown, words
        assert "--json" in shown, words


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["run", "--to", "nowhere"], 3),
        (["nonsense"], 3),
        (["rights", "withdraw"], 3),
        (["rights", "identify"], 3),
        (["rights", "identify", "--subject", "a", "--file", "people.jsonl"], 3),
        (["rights", "identify", "--file", "people.jsonl", "--email", "a@example.org"], 3),
        (["check", "nonsense"], 3),
        (["adopt", "traces", "log.jsonl", "--as", "desk@1", "--format", "words"], 3),
        (["adopt", "traces", "log.jsonl", "--as", "desk@1", "--consent", "maybe"], 3),
        (["feedback", "send", "chatcmpl-1", "--intent", "praise"], 3),
        (["feedback", "send", "chatcmpl-1"], 3),
        (["init"], 3),
        (["-C", "not-a-folder", "run"], 3),
        (["run"], 1),
        (["ask", "why", "x"], 1),
        (["verify"], 1),
        (["--help"], 0),
        (["--version"], 0),
    ],
)
def test_exit_codes(words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == code


def test_an_error_is_one_json_value_for_programs(tmp_path: Path) -> None:
    done = whence("ask", "why", "nothing", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "NotFound"
    assert "Traceback" not in done.stderr


def test_a_decision_without_a_person_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "1", "text": "hello there"}\n')
    env = {
        "WHENCE_ACTOR": "",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "HOME": str(tmp_path),
    }
    assert whence("init", "rows.jsonl", cwd=tmp_path).returncode == 0
    (tmp_path / "base").mkdir()
    assert whence("data", "ingest", cwd=tmp_path, **env).returncode == 0
    done = whence("rights", "withdraw", "--source", "rows", cwd=tmp_path, **env)
    assert done.returncode == 1
    assert "WHENCE_ACTOR" in done.stderr


def test_rows_without_a_licence_wait_in_quarantine_until_one_is_claimed(tmp_path: Path) -> None:
    rows = "".join(f'{{"id": "{i}", "text": "question {i}", "intent": "answer"}}\n' for i in range(5))
    (tmp_path / "rows.jsonl").write_text(rows + '{"id": "9", "text": "cut')
    whence("init", "rows.jsonl", cwd=tmp_path)
    (tmp_path / "base").mkdir()
    first = json.loads(whence("data", "curate", "--json", cwd=tmp_path).stdout)
    assert "no_licence 5, syntax 1" in first["stages"][0]["lines"][0]
    listed = json.loads(whence("data", "quarantine", "--json", cwd=tmp_path).stdout)
    assert {(entry["line"], entry["reason"]) for entry in listed} >= {(1, "no_licence"), (6, "syntax")}
    file = tmp_path / "whence.toml"
    file.write_text(file.read_text().replace('# licence = "CC-BY-4.0" ', 'licence = "CC-BY-4.0" '))
    again = whence("data", "curate", cwd=tmp_path)
    assert "5 rows of 6 records (5 new), 1 in quarantine: syntax 1" in again.stdout
    shown = json.loads(whence("ask", "why", "rows:3", "--json", cwd=tmp_path).stdout)
    assert [node["kind"] for node in shown["made_from"]] == ["Source"]
    assert [node["kind"] for node in shown["went_into"]] == ["Snapshot"]
    assert whence("verify", cwd=tmp_path).returncode == 0


def test_every_fault_of_a_project_file_is_listed_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "whence.toml").write_text(
        '[project]\nname = "x y"\n[[sources]]\nname = "a"\npath = "gone.jsonl"\nkind = "humans"\nlicense = "MIT"\n'
        '[base]\npath = "org/model"\n[recipe]\nepoch = 3\n'
    )
    said = whence("run", cwd=tmp_path).stderr
    for line, what in [
        (2, "project.name"),
        (1, "project.owner: is missing"),
        (5, "there is no file"),
        (6, "sources[0].kind"),
        (7, "did you mean 'licence'?"),
        (11, "did you mean 'epochs'?"),
    ]:
        assert any(f"whence.toml:{line}:" in row and what in row for row in said.splitlines()), (line, what, said)
    assert not (tmp_path / ".whence").exists()
