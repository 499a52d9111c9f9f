"""docs/python.md: its examples run, and the names it lists are the names that are public."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest
from docs import generate

import whence
from whence import records, verbs
from whence.store import Store

PAGE = Path(__file__).parents[2] / "docs/python.md"
BY_HAND, _, REFERENCE = PAGE.read_text(encoding="utf-8").partition(generate.GENERATED)
BLOCKS = re.findall(r"^```pycon( tiny)?\n(.*?)^```$", BY_HAND, re.M | re.S)


def run(blocks: list[str]) -> None:
    """Run examples in one namespace; what they show must be what they said."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "docs/python.md", str(PAGE), 0)
    assert len(test.examples) >= len(blocks)
    found = doctest.DocTestRunner(optionflags=flags).run(test, out=said.append)
    assert found.failed == 0, "".join(said)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run([block for tiny, block in BLOCKS if not tiny])


@pytest.mark.tiny
def test_the_examples_that_train_and_serve_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_base: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_base, tmp_path / "desk/tiny-base")
    run([block for _, block in BLOCKS])


def test_an_example_that_says_something_else_is_found() -> None:
    with pytest.raises(AssertionError, match=r"Got:\s+2"):
        run([">>> 1 + 1\n3\n"])


def test_no_example_is_passed_over() -> None:
    assert BY_HAND.count("```") == 2 * len(BLOCKS)
    assert sum(bool(tiny) for tiny, _ in BLOCKS) == 3


def test_the_reference_is_what_the_code_says_and_lists_every_public_name() -> None:
    assert generate.python() == REFERENCE, "run `make docs`"
    listed = set(re.findall(r"\*\*`([\w.]+)", REFERENCE)) | {
        f"whence.{e}" for e in re.findall(r"`whence\.(\w+)` \|", REFERENCE)
    }
    public = {f"whence.{name}" for name in whence.__all__ if name != "Session"}
    for path, kind, names in generate.VERBS_IN_PYTHON:
        public |= {f"{path}.{n}" for n in (names or vars(kind)) if not n.startswith("_")}
    assert listed - {"w.ship", "w.serve", "w.check"} == public
    values = set(re.findall(r"^### (\w+)$", REFERENCE, re.M))
    assert set(verbs.__all__) - {"Session", "init", "open"} <= values | {
        k.__name__ for _, k, _ in generate.VERBS_IN_PYTHON
    }
    nouns = set(re.findall(r"^\| ([A-Z]\w+) \|", REFERENCE, re.M))
    assert nouns == {n for n in records.__all__ if hasattr(getattr(records, n), "__dataclass_fields__")}


def test_a_session_has_no_other_public_member_than_those_on_the_page() -> None:
    shown = {path.removeprefix("w.") for path, _, _ in generate.VERBS_IN_PYTHON if path != "w"}
    shown |= set(generate.VERBS_IN_PYTHON[0][2]) | {"folder", "told"}
    assert {name for name in vars(verbs.Session) if not name.startswith("_")} <= shown
    assert all(
        hasattr(Store, name) for path, _, names in generate.VERBS_IN_PYTHON if path == "w.store" for name in names
    )


def test_names_come_when_they_are_used_and_no_others() -> None:
    assert set(whence.__all__) <= set(dir(whence))
    assert whence.Unmet is records.Unmet
    with pytest.raises(AttributeError, match="nonsense"):
        _ = whence.nonsense
