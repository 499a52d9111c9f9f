"""What two people say of the same answers: whether a statement means one thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from whence.records import Unmet
from whence.stats import Result, kappa

SHOWN = 20
"""Faults of a file that are written out."""


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
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file of JSON lines", "name one") from error
    adapter, found, faults = TypeAdapter(Review), dict[tuple[str, str, str], tuple[int, Review]](), list[str]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = adapter.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            faults.append(f"{path}:{number}: {where + ': ' if where else ''}{first['msg'][:200]}")
            continue
        if one.criterion not in criteria:
            near = get_close_matches(one.criterion, list(criteria), 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(criteria) or 'none, there is none'}"
            faults.append(f"{path}:{number}: no criterion is called {one.criterion!r}; {hint}")
            continue
        first_at, _ = found.setdefault((one.criterion, one.output, one.reviewer), (number, one))
        if first_at != number:
            faults.append(f"{path}:{number}: {one.reviewer} said this of the same answer in line {first_at}")
    if not found and not faults:
        faults.append(f"{path}: holds no review")
    if faults:
        more = [f"… and {len(faults) - SHOWN:,} more"] if len(faults) > SHOWN else []
        form = '{"criterion": …, "output": …, "reviewer": …, "verdict": "pass"} a line'
        raise Unmet("\n  ".join(faults[:SHOWN] + more), form, "correct these lines; nothing was counted")
    return [one for _, one in found.values()]


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
