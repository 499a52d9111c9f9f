"""What two people say of the same answers: whether a statement means one thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as checked

from whence.stats import Result, kappa
from whence.store.lines import read_lines


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid", str_min_length=1))
class Review:
    """A person looked at one answer with one criterion in hand."""

    criterion: str
    """its id"""
    output: str
    """the answer, or what names it"""
    reviewer: str
    """who"""
    verdict: Literal["pass", "fail"]
    """what they said"""


def read_reviews(path: Path, criteria: Collection[str]) -> list[Review]:
    """The reviews of a file of JSON lines with the members of `Review`, blank lines skipped. Raises Unmet that names
    every bad line: of another form, of no criterion, or of an answer that this person was at before."""
    first = dict[tuple[str, str, str], int]()

    def take(one: Review, number: int) -> Review:
        if one.criterion not in criteria:
            near = get_close_matches(one.criterion, list(criteria), 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(criteria) or 'none, there is none'}"
            raise ValueError(f"no criterion is called {one.criterion!r}; {hint}")
        at = first.setdefault((one.criterion, one.output, one.reviewer), number)
        if at != number:
            raise ValueError(f"{one.reviewer} said this of the same answer in line {at}")
        return one

    form = '{"criterion": …, "output": …, "reviewer": …, "verdict": "pass"}'
    return [*read_lines(path, Review, take, holds="review", form=form, then="nothing was counted").values()]


def agreement(reviews: Sequence[Review]) -> tuple[str, Result] | None:
    """(who, Cohen's kappa) of the two reviewers who looked at most answers both, of several such those who agree least.
    reviews: of one criterion. None where no answer had two."""
    said: Mapping[str, dict[str, bool]] = defaultdict(dict)
    for one in reviews:
        said[one.reviewer][one.output] = one.verdict == "pass"
    pairs = []
    for a, b in combinations(sorted(said), 2):
        if both := sorted(said[a].keys() & said[b].keys()):
            pairs.append((f"{a} and {b}", kappa([said[a][one] for one in both], [said[b][one] for one in both])))
    return min(pairs, key=lambda pair: (-pair[1].n, pair[1].statistic), default=None)
