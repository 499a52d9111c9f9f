"""How sentences are read, on instructions that people wrote and whose meaning is on record beside them (IFEval, 541
prompts). No text of them stands here."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from whence.evaluate.mutants import claim, limits, sentences

DATA = Path(os.environ.get("WHENCE_DATA", ""))
FILE = DATA / "eval_sets" / "ifeval.jsonl"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FILE.is_file(), reason="no real data: set WHENCE_DATA (docs/real-data.md)"),
]
Limit = tuple[str, str, int]


def instructions() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """(prompt, what it asks for as recorded)."""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["prompt"], list(zip(row["instruction_id_list"], row["kwargs"], strict=True))


def meant(asked: list[tuple[str, dict[str, Any]]]) -> set[Limit]:
    """Limits of words and sentences, as recorded."""
    found = set()
    for name, numbers in asked:
        for unit in ("word", "sentence"):
            if name == f"length_constraints:number_{unit}s":
                n, least = numbers[f"num_{unit}s"], numbers["relation"] == "at least"
                found.add((unit, "least", n) if least else (unit, "most", n - 1))
    return found


def read(prompt: str) -> set[Limit]:
    """The same, as a prompt is read."""
    sides = [(unit, {"most": most, "least": least}) for unit, most, least in limits(prompt)]
    return {
        (unit, side, n) for unit, of in sides if unit in ("word", "sentence") for side, n in of.items() if n is not None
    }


def test_limits_that_people_wrote() -> None:
    pairs = [(meant(asked), read(prompt)) for prompt, asked in instructions()]
    there = sum(len(one) for one, _ in pairs)
    found = sum(len(one & other) for one, other in pairs)
    more = sum(len(other - one) for one, other in pairs)
    assert (there, found, more) == (104, 93, 12)


def test_what_people_forbid_and_ask_for() -> None:
    """A sentence that forbids is never read as one that asks for its words."""
    kinds = {"keywords:forbidden_words": "forbids", "punctuation:no_comma": "forbids", "keywords:existence": "requires"}
    said: Counter[tuple[str, str]] = Counter()
    for prompt, asked in instructions():
        for name, numbers in asked:
            words = numbers.get("forbidden_words") or numbers.get("keywords") or ["comma"]
            if name in kinds:
                holding = [
                    [re.search(rf"\b{re.escape(word)}", part, re.IGNORECASE) is not None for word in words]
                    for part in sentences(prompt)
                ]
                said_in = [part for part, of in zip(sentences(prompt), holding, strict=True) if all(of)]
                if said_in:
                    said[kinds[name], claim(said_in[-1])] += 1
    assert said == {
        ("forbids", "forbids"): 89,
        ("forbids", "both"): 26,
        ("requires", "requires"): 38,
        ("requires", "both"): 1,
    }
