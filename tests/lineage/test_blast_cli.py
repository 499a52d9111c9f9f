"""``ask blast-radius``, ``ask live`` and ``rights`` at the command line: the answer first, then how it is reached."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from world import World, build

from whence.store import Store


@pytest.fixture
def world(store: Store, take: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return build(store, take)


def test_the_answer_comes_first_and_then_the_tree(world: World, says: Callable[..., Any]) -> None:
    assert says("ask", "blast-radius").startswith("of 1,000 rows none is withdrawn")
    assert "if subject-" in says("ask", "blast-radius", "--subject", "p17", "--what-if", code=2)
    said = says("rights", "withdraw", "--subject", "p17", "--reason", "a letter")
    text = says("ask", "blast-radius", code=2)
    for out in (said.partition("\n\n")[2], text):
        assert out.splitlines()[0] == "1 live deployment, 1 adapter, 42 rows; retire or rebuild"
        assert "must come down" in out
        assert max(map(len, out.splitlines())) <= 100
    lines = [line.split()[0] for line in text.splitlines() if line.strip().startswith(("snap", "adap", "rele", "depl"))]
    assert lines == ["snapshot", "adapter", "release", "deployment"]
    whole = says("ask", "blast-radius", "--history", "--json", code=2)
    assert {one["name"] for one in whole["adapters"]} == {"m2", "m3"}
    assert whole["rows"]["direct"]["count"] == len(whole["rows"]["direct"]["ids"]) == 12
    assert [one["must_come_down"] for one in whole["deployments"]] == [True]
    [adapter] = [one for one in whole["adapters"] if one["name"] == "m3"]
    assert adapter["through"] == {world.snapshots["s3"]: "fed"}
    assert says("ask", "blast-radius", "--as-of", "2020-01-01", code=4).startswith("there are no rows")
    says("ask", "blast-radius", "--what-if", code=3)
    says("rights", "withdraw", code=3)
    says("rights", "withdraw", "--subject", "p17", "--use", "sell", code=3)


def test_the_page_needs_nothing_else_and_is_whole(world: World, says: Callable[..., Any], tmp_path: Path) -> None:
    says("rights", "withdraw", "--source", "notes", "--said-by", "the <owner>")
    says("ask", "blast-radius", "--html", "reached.html", code=2)
    page = (tmp_path / "reached.html").read_text(encoding="utf-8")
    assert "http-equiv" not in page
    assert "src=" not in page
    assert "<script" not in page

    class Balance(HTMLParser):
        stack: list[str] = []
        texts: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "meta":
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.stack.pop() == tag

        def handle_data(self, data: str) -> None:
            self.texts.append(data)

    parser = Balance()
    parser.feed(page)
    assert parser.stack == []
    for ref in (world.adapters["m1"], world.adapters["m3"], world.deployments["m3"], world.releases["m1"]):
        assert ref in parser.texts


def test_what_answers(world: World, says: Callable[..., Any]) -> None:
    assert [one["rights"] for one in says("ask", "live", "--json")] == ["pass", "pass"]
    says("rights", "dispute", "--source", "notes")
    assert "REVIEW" in says("ask", "live", code=4)
    says("rights", "withdraw", "--source", "notes")
    assert "BREACH" in says("ask", "live", code=2)
    assert max(map(len, says("ask", "live", code=2).splitlines())) <= 100
    says("rights", "reinstate", "--source", "notes")
    assert "neither withdrawn nor disputed" in says("rights", "reinstate", "--source", "notes", code=1)


def test_who_is_unknown_is_said_to_be(world: World, says: Callable[..., Any]) -> None:
    made = says("rights", "withdraw", "--subject", "nobody", "--json")
    assert (len(made["unknown"]), made["blast_radius"]) == (1, None)
    assert "bites when rows come" in " ".join(says("rights", "withdraw", "--subject", "nobody-else").split())
    assert "no source is called 'note'" in says("rights", "withdraw", "--source", "note", code=1)


def test_over_half_of_all_rows(world: World, says: Callable[..., Any]) -> None:
    assert "this is 70% of all 1,000 rows" in says("rights", "withdraw", "--source", "tickets")
    assert says("ask", "blast-radius", code=2).startswith("2 live deployments")


def test_times_are_spelled_as_in_the_record(world: World, says: Callable[..., Any]) -> None:
    says("rights", "withdraw", "--source", "notes", "--valid-at", "2099-01-01")
    untils = {one["until"] for one in says("ask", "live", "--json")}
    assert "2099-01-01T00:00:00.000000Z" in untils


@pytest.mark.parametrize("words", [("ask", "blast-radius", "--html"), ("ask", "due", "--ics")])
def test_a_page_in_a_folder_that_is_not_there(world: World, says: Callable[..., Any], words: tuple[str, ...]) -> None:
    said = says(*words, "gone/x.html", code=1)
    assert "gone/x.html cannot be written: there is no folder" in said
    assert "Errno" not in said
    assert ".whence cannot be written: it is a folder" in says(*words, ".whence", code=1)


def test_somebody_who_will_leave(world: World, says: Callable[..., Any]) -> None:
    says("rights", "own", "m3", "--accountable", "ada@example.org")
    said = says("rights", "left", "ada@example.org", "--at", "2099-12-01")
    assert said.startswith("ada@example.org leaves on 2099-12-01; from then on nobody answers for:\n  m3: ")
    assert says("rights", "left", "ada@example.org", "--at", "2026-01-01").startswith("ada@example.org left; ")
