"""What the kill rate of mutants tells of a checker, on instructions that people wrote and answers that a model gave.

    WHENCE_DATA=../shared/data python -m bench.mutants [--seed 3] [--others 8]

Statements: the sentence of a prompt of IFEval in which it asks for words, forbids words or names a number of words;
what it means is on record beside it, and is the right checker. Examples and counterexamples: answers of Bitext, with
the words planted in them in a sentence, or cut to lengths around the number; two examples and one counterexample each.
Other checkers: some that fit the same pair by chance, looking for a word that the statement neither asks for nor
forbids, or at the length. A pair alone passes all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import describe
from whence.evaluate.checkers import CHECKS
from whence.evaluate.mutants import mutants, sentences
from whence.evaluate.spec import KILLED, MUTANTS

UNDER, OVER = ((0, -20), (50, -35)), ((0, 20), (50, 60))
"""Where an answer of some words begins, and how many more than the number it has."""
Checker = tuple[str, Any]
"""(check, value)."""


@dataclass(frozen=True)
class Case:
    """A statement with its pair and the checker that it means."""

    kind: str
    statement: str
    good: Sequence[str]
    bad: Sequence[str]
    right: Checker

    def fits(self, checker: Checker) -> bool:
        """Whether a checker tells the examples from the counterexamples."""
        return all(_passes(checker, e) for e in self.good) and not any(_passes(checker, c) for c in self.bad)


def _passes(checker: Checker, answer: str) -> bool:
    return CHECKS[checker[0]](checker[1], answer)


def cases(folder: Path, draw: random.Random) -> Iterator[Case]:
    """Of every instruction whose sentence names all of its words, or its number."""
    answers = [json.loads(line)["response"] for line in _lines(folder / "bitext_support/responses_v1_generated.jsonl")]
    for row in map(json.loads, _lines(folder / "eval_sets/ifeval.jsonl")):
        for name, given in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            words = given.get("forbidden_words") or given.get("keywords")
            if words and (said := _last(row["prompt"], words)):
                a, b, c = draw.sample(answers, 3)
                planted = f"This is also about {', '.join(words)}."
                if "forbidden_words" in name:
                    yield Case("forbids words", said, (a, b), (f"{c} {planted}",), ("not_contains", words))
                else:
                    yield Case("asks for words", said, (f"{a} {planted}", f"{planted} {b}"), (c,), ("contains", words))
            elif name == "length_constraints:number_words":
                n, least = given["num_words"], given["relation"] == "at least"
                said = _last(row["prompt"], [str(n)]) or _last(row["prompt"], [str(n - 1)])
                pool = " ".join(draw.sample(answers, 40)).split()
                under, over = ([" ".join(pool[at : at + n + m]) for at, m in by] for by in (UNDER, OVER))
                good, bad = (over, under[:1]) if least else (under, over[:1])
                if said:
                    yield Case(
                        "a number of words", said, good, bad, ("min_words", n) if least else ("max_words", n - 1)
                    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _last(prompt: str, words: Sequence[str]) -> str:
    """The last sentence that says all of these."""
    said = [p for p in sentences(prompt) if all(re.search(rf"\b{re.escape(w)}", p, re.IGNORECASE) for w in words)]
    return said[-1] if said else ""


def others(case: Case) -> list[Checker]:
    """Checkers of something else that fit the same pair."""
    good, bad = ([set(re.findall(r"\w+", text.lower())) for text in side] for side in (case.good, case.bad))
    meant = set(re.findall(r"\w+", str(case.right[1]).lower()))
    found: list[Checker] = [("contains", word) for word in sorted(set.intersection(*good) - set.union(*bad) - meant)]
    found += [("not_contains", word) for word in sorted(set.intersection(*bad) - set.union(*good) - meant)]
    if not case.right[0].endswith("_words"):
        lengths = [[len(text.split()) for text in side] for side in (case.good, case.bad)]
        found += [("min_words", min(lengths[0])), ("max_words", max(lengths[0]))]
    return [one for one in found if case.fits(one)]


def main() -> None:
    """Print how many right checkers pass and how many others are caught."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--others", type=int, default=8)
    asked = parser.parse_args()
    draw, began = random.Random(asked.seed), time.process_time()
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
    for case in cases(Path(os.environ["WHENCE_DATA"]), draw):
        if not case.fits(case.right):
            continue
        made = mutants(case.statement, case.good, case.bad)
        of = counts[case.kind]
        of[0] += 1
        if len(made.violating) < MUTANTS:
            of[1] += 1
            continue

        def sound(checker: Checker, made: Any = made) -> bool:
            killed = sum(not _passes(checker, one) for one in made.violating)
            return killed >= KILLED * len(made.violating) and all(_passes(checker, one) for one in made.harmless)

        wrong = others(case)
        wrong = draw.sample(wrong, min(asked.others, len(wrong)))
        caught = sum(not sound(one) for one in wrong)
        for i, more in enumerate((sound(case.right), len(made.violating), len(wrong), caught), 2):
            of[i] += more
    print(f"{describe()}; {time.process_time() - began:.1f} CPU s\n")
    print(
        "| statement | statements | abstains | right checkers pass | mutants each | others that fit the pair | caught |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind, (n, few, passed, some, wrong_ones, caught) in counts.items():
        share = caught / wrong_ones if wrong_ones else 0
        right = f"{passed} of {n - few}"
        print(f"| {kind} | {n} | {few} | {right} | {some / (n - few):.0f} | {wrong_ones} | {caught} ({share:.0%}) |")


if __name__ == "__main__":
    main()
