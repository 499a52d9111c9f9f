"""docs/security.md and the tests: each promise names tests that exist, and each test here stands for a promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
CONTROLS = {
    "test_the_bomb_goes_off_where_it_is_opened",
    "test_a_link_within_an_adapter_s_folder_is_none_of_our_business",
    "test_with_the_token_all_doors_open",
    "test_this_machine_s_own_names_pass",
}
"""Tests that show what the others rest on, or that honest use still works."""


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 40
    assert [f"{file}::{test}" for file, test in named if test not in names_in(ROOT / file)] == []


def test_every_promise_names_a_test() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("|") and "---" not in line]
    promises = [(cells[1], cells[2]) for cells in rows if len(cells) == 4 and cells[1].strip() != "promise"]
    assert len(promises) > 30
    assert [promise for promise, tests in promises if not NAMED.search(tests)] == []


def test_every_test_of_security_stands_on_the_page() -> None:
    here = {
        test for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__) for test in names_in(path)
    }
    assert here - {test for _, test in NAMED.findall(PAGE)} == CONTROLS
