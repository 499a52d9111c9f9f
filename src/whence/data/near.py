"""Near-duplicates as decisions that can be looked at and undone: lowered or removed, chosen for coverage."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.data.removal import Removal, Rows, answer_of
from whence.records import Json, require, texts

if TYPE_CHECKING:
    from whence.text.chosen import Alike

REASON = "near_duplicate"
LABEL_WORDS = 5
"""An answer of at most so many words is a label."""


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Of rows that say almost the same, one stays as it is; each of m - 1 others is lowered (fed in 1/m of the
    epochs, on average), or removed where `action` says so. Almost: the word 3-grams of what user and assistant say
    have a Jaccard index of at least `threshold` with those of the row that stays (0.5 to 1), and both have the same
    answer, if it is a label, and the same values of the slice fields in `apart`. What stays is chosen for coverage:
    rows of the rarest slices first. Each of `rules` (``name=REGEX``) makes a slice ``rule=name`` of the rows in which
    that is found. Rows of the slices in `protect` (``field=value``) are left alone, and of each
    slice at least `floor` rows. What was decided can be undone: ``whence data undo near_duplicate``."""

    version: ClassVar[int] = 1
    threshold: float = 0.8
    action: str = "lower"
    apart: tuple[str, ...] = ()
    floor: int = 0
    protect: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def remove(self, rows: Rows) -> Removal:
        return decide(Pool.read(rows, self.apart, self.rules), self)


@dataclass(slots=True)
class Pool:
    """Rows as near-duplicates are looked for in them; members are columns of one length."""

    ordinals: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """what user and assistant say"""
    slices: list[tuple[str, ...]] = field(default_factory=list)
    """``field=value``, and ``answer=…`` where the answer is a label"""
    kinds: list[tuple[str, ...]] = field(default_factory=list)
    """rows of different kinds do not stand for each other"""

    @classmethod
    def read(cls, rows: Rows, apart: Sequence[str] = (), rules: Sequence[str] = ()) -> Pool:
        """Rows with their slices; those of different values of the fields in `apart` are of different kinds."""
        out, ruled = cls(), Rules(rules)
        for ordinal, text, sliced in rows.columns("content", "slices"):
            content, values = json.loads(str(text)), json.loads(str(sliced)) if sliced else {}
            label = label_of(content)
            out.ordinals.append(int(str(ordinal)))
            out.said.append(said(content))
            out.slices.append((*slices_of(values, label), *ruled.of(out.said[-1])))
            out.kinds.append((label or "", *(str(values.get(name, "")) for name in apart)))
        return out


class Rules:
    """Slices that a regular expression makes, each written ``name=REGEX``."""

    def __init__(self, rules: Iterable[str]) -> None:
        parts = [rule.partition("=") for rule in rules]
        self._rules = [(f"rule={name}", re.compile(pattern)) for name, _, pattern in parts]

    def of(self, text: str) -> tuple[str, ...]:
        """The slices of a text."""
        return tuple(name for name, pattern in self._rules if pattern.search(text))

    @staticmethod
    def fault(rule: str) -> str | None:
        """Why this is no rule, or None."""
        name, equals, pattern = rule.partition("=")
        if not (name and equals and pattern):
            return "should be name=REGEX"
        try:
            re.compile(pattern)
        except re.error as error:
            return f"is no regular expression: {error}"
        return None


def said(content: Json) -> str:
    """What user and assistant say in an item; of other shapes every text."""
    if isinstance(turns := content.get("messages"), list):
        return "\n".join(texts({"messages": [turn for turn in turns if turn.get("role") != "system"]}))
    return "\n".join(texts(content))


def label_of(content: Json) -> str | None:
    """The answer of an item, if it is a label."""
    answer = answer_of(content)
    return answer if answer and len(answer.split()) <= LABEL_WORDS else None


def slices_of(values: Mapping[str, Any], label: str | None) -> tuple[str, ...]:
    """``field=value`` of a row, and its label as one more."""
    return (*(f"{name}={value}" for name, value in values.items()), *([f"answer={label}"] if label else []))


def decide(pool: Pool, step: NearDuplicate) -> Removal:
    """Which rows stand behind which other, and what becomes of them."""
    return decided(pool, step, *behind(pool, step))


def behind(pool: Pool, step: NearDuplicate) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(the position of the row that each one stands behind, its own where it stays; their Jaccard index)."""
    return comparing(pool, step.threshold).behind(kinds(pool), ranks(pool, step.protect), step.threshold)


def comparing(pool: Pool, lowest: float) -> Alike:
    """The rows compared, for thresholds from `lowest` on. Raises Unmet without the extra ``checks``."""
    require("checks", "numba")
    from whence.text.chosen import Alike  # noqa: PLC0415  (half a second, and an extra)

    return Alike(pa.array(pool.said, pa.large_string()), lowest, threads=len(os.sched_getaffinity(0)))


def kinds(pool: Pool) -> npt.NDArray[np.int64]:
    """A number for each kind of row, shape (rows,)."""
    known: dict[tuple[str, ...], int] = {}
    return np.array([known.setdefault(kind, len(known)) for kind in pool.kinds], np.int64)


def ranks(pool: Pool, protect: Sequence[str]) -> npt.NDArray[np.int64]:
    """The order in which rows are chosen: protected ones, then those of the rarest slice, then the first."""
    counts = Counter(name for names in pool.slices for name in names)
    free = dict.fromkeys(protect, 0)
    rarest = [min((free.get(n, counts[n]) for n in names), default=len(pool.slices)) for names in pool.slices]
    order = np.lexsort((pool.ordinals, rarest))
    out = np.empty(len(order), np.int64)
    out[order] = np.arange(len(order))
    return out


def decided(pool: Pool, step: NearDuplicate, behind: npt.NDArray[np.int64], alike: npt.NDArray[np.float64]) -> Removal:
    """Removed or lowered, but for protected rows and for those that a slice needs for its floor: these of the least
    likeness."""
    protect, out = set(step.protect), Removal()
    goes = [int(i) for i in np.flatnonzero(behind != np.arange(len(behind))) if not protect & set(pool.slices[i])]
    if step.floor:
        goes = _above(pool, goes, alike, step.floor)
    many = Counter(int(behind[i]) for i in goes)
    for i in goes:
        ordinal, other = pool.ordinals[i], pool.ordinals[behind[i]]
        if step.action == "remove":
            out.drop(ordinal, REASON, other)
        else:
            out.lower(ordinal, REASON, other, 1 / (many[int(behind[i])] + 1))
        out.alike[ordinal] = float(alike[i])
    return out


def _above(pool: Pool, goes: list[int], alike: npt.NDArray[np.float64], floor: int) -> list[int]:
    """Of the rows that are to go those that no slice needs."""
    left = Counter(name for names in pool.slices for name in names)
    left.subtract(name for i in goes for name in pool.slices[i])
    need = {name: floor - count for name, count in left.items() if count < floor}
    stays = set[int]()
    for i in sorted(goes, key=lambda i: (alike[i], pool.ordinals[i])):
        if any(need.get(name, 0) > 0 for name in pool.slices[i]):
            stays.add(i)
            for name in pool.slices[i]:
                need[name] = need.get(name, 0) - 1
    return [i for i in goes if i not in stays]
