"""whence.toml: every fault at once, with its line and the nearest key, before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from whence.project import read_project
from whence.records import Tier, Unmet, digest

WHOLE = '''\
[project]
name = "desk"
owner = "me@example.org"

[store]
path = ".whence"

[[sources]]
name = "tickets"
path = "tickets.jsonl"
kind = "production_log"
licence = "CC-BY-4.0"
consent_basis = "consent"
retrieved_at = 2026-11-01
map = { id = "id", prompt = "text", completion = "intent", slices = ["lang"] }

[[sources]]
name = "made"
path = "made.csv"
kind = "synthetic"
licence = "LicenseRef-ours"

[[curate]]
step = "length"
max_chars = 100

[[curate]]
step = "disjoint"
by = "group"

[base]
path = "./base"

[recipe]
epochs = 1
learning_rate = 1e-3

[[suites]]
name = "dev"
role = "dev"
path = "tickets.jsonl"

[[suites]]
name = "gate"
role = "gate"
path = "tickets.jsonl"
scorer = "label"
map = { id = "id", input = "text", expected = "intent", group = "who" }

[gate]
min_gain = 0.02

[[requirements]]
id = "short"
text = "Answers are short."

[[requirements.criteria]]
id = "short.words"
statement = "An answer has at most 60 words."
check = "max_words"
value = 60
threshold = 0.9
example = """
id = "this is what an answer says"
"""

[[requirements]]
id = "polite"
text = "Answers are polite."

[[requirements.criteria]]
id = "polite.thanks"
statement = "An answer thanks."
slice = "lang=de"
check = "contains"
value = ["Danke"]

[serving]
port = 9000
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tickets.jsonl").write_text('{"id": 1, "text": "a", "intent": "b"}\n')
    (tmp_path / "made.csv").write_text("text\na\n")
    (tmp_path / "base").mkdir()
    (tmp_path / "whence.toml").write_text(WHOLE)
    return tmp_path


def refused(folder: Path, text: str) -> str:
    """What is said about this file."""
    (folder / "whence.toml").write_text(text)
    with pytest.raises(Unmet) as caught:
        read_project(folder)
    return str(caught.value)


def test_a_whole_file_is_read(folder: Path) -> None:
    project = read_project(folder)
    assert (project.file.project.name, project.file.serving.port, project.file.recipe.epochs) == ("desk", 9000, 1)
    assert [project.source(i).licence for i in range(2)] == ["CC-BY-4.0", "LicenseRef-ours"]
    assert project.source(0).retrieved_at.isoformat() == "2026-11-01T00:00:00+00:00"
    assert [project.source_format(i) for i in range(2)] == ["jsonl", "csv"]
    assert [(name, step.version > 0) for name, step in project.steps()] == [("length", True), ("disjoint", True)]
    assert project.steps()[0][1].max_chars == 100
    assert project.store_path == folder / ".whence"
    assert project.keys_path == folder / "whence.key"
    assert read_project(folder / "whence.toml") == project
    (short, [words]), (_, [thanks]) = project.requirements()
    assert (words.requirement, words.owner, thanks.slice) == (digest(short), "me@example.org", "lang=de")
    assert words.example == ('id = "this is what an answer says"\n',)


def test_a_method_has_defaults_for_what_it_reads(folder: Path) -> None:
    (folder / "whence.toml").write_text(WHOLE.replace("epochs = 1", 'method = "grpo"\ngenerations = 8'))
    asked = read_project(folder).recipe()
    assert (asked.method, asked.generations, asked.answer_tokens, asked.reward, asked.beta) == (
        "grpo",
        8,
        64,
        "exact",
        None,
    )


def test_how_revocable_rows_are_trained(folder: Path) -> None:
    text = WHOLE.replace('kind = "synthetic"', 'kind = "synthetic"\nrevocable = true')
    (folder / "whence.toml").write_text(text.replace("epochs = 1", "epochs = 1\nrehearsal = 0.5"))
    project = read_project(folder)
    assert project.revocable() == ["made"]
    assert project.recipe() == project.recipe(tier=(), routed=False)
    assert project.recipe(tier=["made"]).tier == Tier(sources=("made",), rehearsal=0.5, peak=1.0)
    assert project.recipe(routed=True).profile
    for key, message in (
        ('revocable = "routed"\npeak = 0.5', "recipe.peak: is not read where revocable"),
        ('method = "grpo"', "recipe.method: grpo cannot be replayed, so no source can be revocable"),
        ('method = "reward"\nrevocable = "routed"', "recipe.revocable: reward does not answer"),
    ):
        assert message in refused(folder, text.replace("epochs = 1", key))


EDITS = {
    "project key": ('owner = "me', 'ownr = "me', r"project.ownr: unknown key; did you mean 'owner'"),
    "project owner": ('owner = "me@example.org"', "", r"project.owner: is missing"),
    "store key": ('path = ".whence"', 'pth = ".whence"', r"store.pth: unknown key; did you mean 'path'"),
    "source key": ('consent_basis = "', 'consent_base = "', r"sources\[0\].consent_base: .*'consent_basis'"),
    "recipe key": ("epochs = 1", "epoch = 1", r"recipe.epoch: unknown key; did you mean 'epochs'"),
    "gate key": ("min_gain", "min_gian", r"gate.min_gian: unknown key; did you mean 'min_gain'"),
    "serving key": ("port = 9000", "prot = 9000", r"serving.prot: unknown key; did you mean 'port'"),
    "suite key": ('scorer = "label"', 'scoring = "label"', r"suites\[1\].scoring: unknown key; did you mean 'scorer'"),
    "table": ("[gate]", "[gates]", r"gates: unknown key; did you mean 'gate'"),
    "far key": ("port = 9000", "zzzz = 9000", r"serving.zzzz: unknown key; known: alias"),
    "map key": ('map = { id = "id", prompt', 'map = { id = "id", promt', r"sources\[0\].map.promt: .*'prompt'"),
    "suite map key": ('expected = "intent"', 'expeted = "intent"', r"suites\[1\].map.expeted: .*'expected'"),
    "step option": ("max_chars = 100", "max_char = 100", r"curate\[0\].max_char: .*'max_chars'"),
    "step name": ('step = "length"', 'step = "lenght"', r"curate\[0\].step: .*did you mean 'length'"),
    "step without a name": ('step = "length"', "", r"curate\[0\].step: is missing"),
    "step that is a list": ('step = "length"', 'step = ["length"]', r"curate\[0\].step: "),
    "step option of a wrong type": ("max_chars = 100", 'max_chars = "100"', r"curate\[0\].max_chars: should be int"),
    "step choice": ('by = "group"', 'by = "people"', r"curate\[1\].by: should be out of subject, group"),
    "wrong type": ("epochs = 1", 'epochs = "1"', r"recipe.epochs: .*integer"),
    "a float for an integer": ("epochs = 1", "epochs = 1.0", r"recipe.epochs: "),
    "a bool for an integer": ("epochs = 1", "epochs = true", r"recipe.epochs: "),
    "out of range": ("port = 9000", "port = 90000", r"serving.port: .*65535"),
    "infinite": ("learning_rate = 1e-3", "learning_rate = inf", r"recipe.learning_rate: "),
    "not a number": ("min_gain = 0.02", "min_gain = nan", r"gate.min_gain: "),
    "missing file": ('path = "tickets.jsonl"\nkind', 'path = "tickts.jsonl"\nkind', r"sources\[0\].path: .*'tickets"),
    "a folder for a file": ('path = "made.csv"', 'path = "base"', r"sources\[1\].path: "),
    "unknown ending": ('path = "made.csv"', 'path = "whence.toml"', r"sources\[1\].path: .*set format"),
    "bad licence": ("CC-BY-4.0", "CC-BY-4", r"sources\[0\].licence: 'CC-BY-4' is no SPDX .*'CC-BY-4.0'"),
    "no expression": ("CC-BY-4.0", "MIT AND OR", r"sources\[0\].licence: no SPDX expression"),
    "bad kind": ('kind = "synthetic"', 'kind = "found"', r"sources\[1\].kind: "),
    "bad time": ("2026-11-01", '"last week"', r"sources\[0\].retrieved_at: "),
    "time without a zone": ("2026-11-01", "2026-11-01T09:00:00", r"sources\[0\].retrieved_at: .*zone"),
    "a number for a time": ("2026-11-01", "20261101", r"sources\[0\].retrieved_at: "),
    "source twice": ('name = "made"', 'name = "tickets"', r"sources\[1\].name: 'tickets' is taken by sources\[0\]"),
    "suite twice": ('name = "gate"\nrole', 'name = "dev"\nrole', r"suites\[1\].name: 'dev' is taken"),
    "role twice": ('role = "gate"', 'role = "dev"', r"suites: 2 suites have the role dev"),
    "bad name": ('name = "desk"', 'name = "my desk"', r"project.name: "),
    "nothing is revocable": ("epochs = 1", "epochs = 1\nrehearsal = 0.2", r"recipe.rehearsal: .*none is"),
    "another method's key": ("epochs = 1", "epochs = 1\nbeta = 0.2", r"recipe.beta: is not read by method sft"),
    "unknown method": ("epochs = 1", 'method = "ppo"', r"recipe.method: .*'grpo'"),
    "unknown reward": ("epochs = 1", 'method = "grpo"\nreward = "nice"', r"recipe.reward: no reward is .*one of exact"),
    "no group": ("epochs = 1", 'method = "grpo"\ngenerations = 1', r"recipe.generations: .*2"),
    "requirement key": ('id = "short"\n', 'ownr = "me"\nid = "short"\n', r"requirements\[0\].ownr: .*'owner'"),
    "criterion key": ('slice = "lang=de"', 'slices = "lang=de"', r"requirements\[1\].criteria\[0\].slices: .*'slice'"),
    "criterion twice": ('id = "polite.thanks"', 'id = "short"', r"\[1\].criteria\[0\].id: 'short' is taken"),
    "no population": ("lang=de", "german", r"requirements\[1\].criteria\[0\].slice: .*field=value"),
    "unknown check": ('check = "contains"', 'check = "nice"', r"criteria\[0\].check: .*'contains'"),
    "a value for another check": ("value = 60", 'value = "60"', r"criteria\[0\].value: max_words needs a value: a"),
    "a value for no check": ('check = "contains"\n', "", r"criteria\[0\].value: is read by a check"),
    "a bad pattern": ('check = "contains"\nvalue = ["Danke"]', 'check = "regex"\nvalue = "("', r"value: .*not compile"),
    "a bad schema": ('"contains"\nvalue = ["Danke"]', '"json_schema"\nvalue = { type = 5 }', r"value: .*JSON schema"),
    "nothing left of a threshold": ("threshold = 0.9", "threshold = 0.04", r"\[0\].threshold: 0.04 less .* 0.05 "),
    "a threshold above all": ("threshold = 0.9", "threshold = 1.9", r"criteria\[0\].threshold: .*1"),
    "an empty statement": ('statement = "An answer thanks."', 'statement = " "', r"criteria\[0\].statement: "),
    "source missing a field": ('kind = "synthetic"\n', "", r"sources\[1\].kind: is missing"),
}  # fmt: skip


MORE = ("project key", "step option", "table", "role twice", "a folder for a file")
"""Edits that make more than one fault."""


@pytest.mark.parametrize("what", EDITS)
def test_one_fault_is_named_with_its_line(folder: Path, what: str) -> None:
    old, new, message = EDITS[what]
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    said = refused(folder, text)
    assert re.search(message, said), said
    assert said.startswith("1 fault in") or what in MORE, said
    numbers = [int(n) for n in re.findall(r"whence\.toml:(\d+): ", said)]
    if "missing" not in message and new and what != "role twice":
        places = [n for n, held in enumerate(text.splitlines(), 1) if new.splitlines()[0] in held]
        assert any(abs(n - at) <= 1 for n in numbers for at in places), said
    assert all(1 <= n <= len(text.splitlines()) for n in numbers)


def test_all_faults_at_once_in_order_of_line(folder: Path) -> None:
    text, expected = WHOLE, []
    for what in ("project key", "store key", "source key", "bad licence", "step option", "recipe key",
                 "suite key", "gate key", "out of range", "bad kind", "map key"):  # fmt: skip
        old, new, message = EDITS[what]
        text = text.replace(old, new, 1)
        expected.append(message)
    said = refused(folder, text)
    for message in expected:
        assert re.search(message, said), message
    numbers = [int(n) for n in re.findall(r"whence\.toml:(\d+): ", said)]
    assert numbers == sorted(numbers)
    assert "nothing was done yet" in said
    assert not (folder / ".whence").exists()


@pytest.mark.parametrize("part", ["project", "base", "sources"])
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    text = re.sub(rf"\[+{part}\]+\n(?:[^\[]+\n)*", "", WHOLE)
    assert re.search(rf"{part}: is missing", refused(folder, text))
    assert "at least one source" in refused(folder, "sources = []\n" + text) if part == "sources" else True


@pytest.mark.parametrize(
    "text", ["", "[project", "a = ", "[project]\nname = 'a'\nname = 'b'", "x = 1\n[x]", "\x00", 'a = "\\ud800"']
)
def test_what_is_no_toml_says_so(folder: Path, text: str) -> None:
    assert "whence.toml" in refused(folder, text)


@pytest.mark.parametrize(
    ("rule", "fault"),
    [("angry", "should be name=REGEX"), ("=x", "should be name"), ("a=(", "is no regular expression")],
)
def test_a_rule_that_makes_no_slice_is_named(folder: Path, rule: str, fault: str) -> None:
    step = f'\n[[curate]]\nstep = "near_duplicate"\nrules = ["fine=[a-z]=", "{rule}"]\n'
    assert f"rules: '{rule}' {fault}" in refused(folder, WHOLE + step)


def test_a_file_that_is_not_utf_8_says_where(folder: Path) -> None:
    (folder / "whence.toml").write_bytes(b"[project]\nname = '\xff'\n")
    with pytest.raises(Unmet, match="UTF-8 at byte 18"):
        read_project(folder)


def test_a_folder_without_a_project_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unmet, match="whence init"):
        read_project(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["project = 5", "sources = 5", "sources = [5]", "curate = [5]\n", "suites = {}", "base = []", "map = 1",
     "[[sources]]\nname = ['a']\npath = 5\nmap = 7\nlicence = 3\nformat = []", "[[curate]]\nstep = {}",
     "[[curate]]\nstep = 'schema'\nshapes = [{}]", "[[curate]]\nstep = 'schema'\nshapes = [['chat']]",
     "[[curate]]\nstep = 'schema'\nanswers = [1]", "[[suites]]\nname = 1\nrole = []\npath = ''\nmap = []"],
)  # fmt: skip
def test_no_odd_value_raises_anything_else(folder: Path, text: str) -> None:
    assert "fault" in refused(folder, text)


def test_answers_that_are_no_texts_are_a_fault(folder: Path) -> None:
    text = WHOLE.replace('step = "length"\nmax_chars = 100', 'step = "schema"\nanswers = [1, 2]')
    assert re.search(r"curate\[0\].answers: ", refused(folder, text))


def test_where_a_suite_comes_from_is_something_that_the_file_names(folder: Path) -> None:
    split = WHOLE.replace('kind = "synthetic"', 'kind = "synthetic"\npart_of = "bank"')
    gate = 'role = "gate"\n'
    (folder / "whence.toml").write_text(split.replace(gate, gate + 'part_of = "bank"\ngroups_are = "group"\n'))
    part = read_project(folder).file.suites[1]
    assert (part.part_of, part.republishes, part.groups_are) == ("bank", None, "group")
    assert "suites[1].part_of: no other source or suite is called 'bnak', or part of it; did you mean 'bank'?" in (
        refused(folder, split.replace(gate, gate + 'part_of = "bnak"\n'))
    )
    assert "suites[1].republishes: no other source or suite is called 'gate', or part of it; " in (
        refused(folder, WHOLE.replace(gate, gate + 'republishes = "gate"\n'))
    )


def test_a_source_is_a_copy_of_something_that_the_file_names(folder: Path) -> None:
    copy = WHOLE.replace('kind = "synthetic"', 'kind = "synthetic"\nrepublishes = "gate"')
    (folder / "whence.toml").write_text(copy)
    assert [read_project(folder).source(i).republishes for i in range(2)] == [None, "gate"]
    assert "sources[1].republishes: no other source or suite is called 'gaet', or part of it; did you mean 'gate'?" in (
        refused(folder, copy.replace('republishes = "gate"', 'republishes = "gaet"'))
    )
