"""Overlap between real sets: what is known of them, and how much of what is planted is found (docs/validity.md)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from whence.text.grams import Probe, boilerplate
from whence.text.overlap import leaks, look
from whence.text.planted import plant
from whence.text.words import split

pytestmark = pytest.mark.real_data


def column(path: Path, name: str) -> list[str]:
    return [json.loads(line)[name] for line in path.read_text(encoding="utf-8").splitlines()]


def both(real_data: Path, folder: str, name: str) -> tuple[list[str], list[str]]:
    return column(real_data / folder / "train.jsonl", name), column(real_data / folder / "test.jsonl", name)


def xquad(real_data: Path, language: str) -> tuple[list[str], list[str], list[str]]:
    """(paragraphs and questions of half of the articles; questions of the others; paragraphs of the others)."""
    articles = json.loads((real_data / f"xquad/xquad.{language}.json").read_text(encoding="utf-8"))["data"]
    half = len(articles) // 2
    texts = [[p["context"] for a in part for p in a["paragraphs"]] for part in (articles[:half], articles[half:])]
    asked = [
        [q["question"] for a in part for p in a["paragraphs"] for q in p["qas"]]
        for part in (articles[:half], articles[half:])
    ]
    return texts[0] + asked[0], asked[1], texts[1]


def items_of(found: pa.Table, tiers: tuple[str, ...] = (), natural: bool = False) -> set[int]:
    found = found.filter(pc.equal(found["natural"], natural))
    named = found["tier"].to_pylist()
    return {item for item, tier in zip(found["item"].to_pylist(), named, strict=True) if not tiers or tier in tiers}


def recall(items: list[str], rows: list[str], kind: str) -> float:
    mine = random.Random(0).sample(items, min(200, len(items)))
    found = leaks(pa.array(rows + plant(mine, kind, rows)), pa.array(mine)).to_pylist()
    own = {one["item"] for one in found if one["row"] == len(rows) + one["item"] and not one["natural"]}
    return len(own) / len(mine)


def test_runs_of_gsm8k_are_those_known(real_data: Path) -> None:
    rows, items = map(pa.array, both(real_data, "gsm8k", "question"))
    hits = {n: len(set(Probe(items, n).probe(rows)["item"].to_pylist())) for n in (8, 10, 13)}
    assert hits == {8: 80, 10: 9, 13: 3}


def test_gsm8k_leaks_nothing_whole_and_most_of_its_runs_are_natural(real_data: Path) -> None:
    rows, items = both(real_data, "gsm8k", "question")
    found = leaks(pa.array(rows), pa.array(items))
    assert not items_of(found, ("exact", "normalised"))
    assert len(items_of(found, ("ngram8", "ngram13"))) <= 8
    assert len(items_of(found)) <= 0.03 * len(items)
    assert recall(items, rows, "verbatim") == recall(items, rows, "embedded") == 1
    assert recall(items, rows, "misspelt") >= 0.95
    assert recall(items, rows, "reworded") >= 0.95


def test_banking77s_leaked_items_are_found_and_everyday_ones_are_apart(real_data: Path) -> None:
    rows, items = both(real_data, "banking77", "text")
    found, told = look(pa.array(rows), pa.array(items))
    assert len(items_of(found, ("normalised",))) == 25
    assert not items_of(found, ("exact",))
    apart = items_of(found, natural=True) - items_of(found)
    assert len(apart) > 3 * len(items_of(found))
    assert 0.4 < pc.mean(told["part"]).as_py() < 0.6, "half of these short questions can only be found whole"


def test_everyday_turns_of_multidogo_are_no_leaks(real_data: Path) -> None:
    path = real_data / "multidogo/finance_turn_level.jsonl"
    parts = column(path, "split")
    texts = column(path, "text")
    rows, items = ([text for text, part in zip(texts, parts, strict=True) if part == one] for one in ("train", "test"))
    found = leaks(pa.array(rows), pa.array(items))
    everyday = {"yes", "no", "ok", "okay", "hi", "hello", "thank you", "thank you very much", "bye"}
    told = {" ".join(split(items[item])) for item in items_of(found, natural=True) - items_of(found)}
    assert everyday <= told
    assert not everyday & {" ".join(split(items[item])) for item in items_of(found, ("exact", "normalised"))}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_planted_in_sets_by_which_nothing_was_chosen(real_data: Path, language: str) -> None:
    rows, questions, paragraphs = xquad(real_data, language)
    assert not items_of(leaks(pa.array(rows), pa.array(paragraphs)))
    assert len(items_of(leaks(pa.array(rows), pa.array(questions)))) <= 0.01 * len(questions)
    for kind in ("verbatim", "truncated", "embedded", "reworded", "reordered"):
        assert recall(paragraphs, rows, kind) >= 0.98
    assert recall(questions, rows, "recased") == 1
    assert recall(questions, rows, "reworded") >= 0.7


def test_boilerplate_of_bitext_answers(real_data: Path) -> None:
    answers = column(real_data / "bitext_support/responses_v1_generated.jsonl", "response")
    common = boilerplate(pa.array(answers))
    assert 100 < len(common) < 400
    opening = boilerplate(pa.array(["I understand that you"] * 2))
    assert len(opening) == 1
    assert set(opening) <= set(common)
    assert not len(boilerplate(pa.array(both(real_data, "gsm8k", "question")[0])))
