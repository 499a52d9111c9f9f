"""Curation steps. Each looks at the rows that are left and says which go, why, and because of which row.

A step is a frozen dataclass whose fields are its options; ``remove`` returns a `Removal`. Nothing else decides that a
row is not in the data.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from whence.data.near import NearDuplicate
from whence.data.removal import Removal, Rows, answer_of, question_of
from whence.records import SHAPES, content_fault, texts
from whence.text import normalise


@dataclass(frozen=True, slots=True)
class ExactDuplicate:
    """Of rows with the same content, whatever their source or subject, the first stays.

    Compared by a hash that is computed while reading and never stored: rows of different subjects have different keys.
    """

    version: ClassVar[int] = 1

    def remove(self, rows: Rows) -> Removal:
        return _duplicates(rows, "exact_duplicate", lambda text: text)


@dataclass(frozen=True, slots=True)
class NormalisedDuplicate:
    """Of rows whose texts are the same but for case, punctuation and white space, the first stays. A text without a
    word, such as an emoji, is compared as it is."""

    version: ClassVar[int] = 1

    def remove(self, rows: Rows) -> Removal:
        def key(text: str) -> str:
            return "\x1f".join(normalise(part) or part.strip() for part in texts(json.loads(text)))

        return _duplicates(rows, "normalised_duplicate", key)


def _duplicates(rows: Rows, reason: str, key: Callable[[str], str]) -> Removal:
    """Of rows with one key the lowest ordinal stays, whatever order the row file is in."""
    marks, ordinals, out = bytearray(), array("Q"), Removal()
    for ordinal, text in rows.columns("content"):
        marks += hashlib.blake2b(key(text).encode(), digest_size=16).digest()
        ordinals.append(ordinal)
    held, at = np.frombuffer(marks, np.uint64).reshape(-1, 2), np.frombuffer(ordinals, np.uint64)
    order = np.lexsort((at, held[:, 0], held[:, 1]))
    held, at = held[order], at[order]
    again = np.zeros(len(at), bool)
    again[1:] = (held[1:] == held[:-1]).all(1)
    first = at[~again][np.cumsum(~again) - 1]
    for ordinal, because in zip(at[again].tolist(), first[again].tolist(), strict=True):
        out.drop(ordinal, reason, because)
    return out


@dataclass(frozen=True, slots=True)
class Length:
    """Rows whose texts together are shorter or longer than this go; lengths are in characters."""

    version: ClassVar[int] = 1
    min_chars: int = 1
    max_chars: int = 20_000

    def remove(self, rows: Rows) -> Removal:
        out = Removal()
        for ordinal, text in rows.columns("content"):
            length = sum(map(len, texts(json.loads(text))))
            if length < self.min_chars:
                out.drop(ordinal, "too_short")
            elif length > self.max_chars:
                out.drop(ordinal, "too_long")
        return out


@dataclass(frozen=True, slots=True)
class Schema:
    """Rows of other shapes go, and rows whose answer is not one of `answers` where that is given."""

    version: ClassVar[int] = 1
    shapes: tuple[str, ...] = ("chat", "prompt_completion")
    answers: tuple[str, ...] = ()

    def remove(self, rows: Rows) -> Removal:
        out = Removal()
        for ordinal, text in rows.columns("content"):
            content = json.loads(text)
            if content["shape"] not in self.shapes:
                out.drop(ordinal, "other_shape")
            elif content_fault(content):
                out.drop(ordinal, "not_whole")
            elif self.answers and answer_of(content) not in self.answers:
                out.drop(ordinal, "other_answer")
        return out


@dataclass(frozen=True, slots=True)
class Disjoint:
    """What a suite holds is not trained on: no person (``by = "subject"``), no conversation (``"group"``), no question
    that is the same but for case and punctuation (``"text"``). Persons leak where no text does."""

    version: ClassVar[int] = 2
    by: str = "subject"

    def remove(self, rows: Rows) -> Removal:
        held = dict(rows.groups.get(self.by, ()))
        out = Removal()
        for ordinal, value in rows.columns("content" if self.by == "text" else self.by):
            if self.by == "text":
                value = normalise(question_of(json.loads(value)))
            if value and value in held:
                out.drop(ordinal, f"{self.by}_in_{held[value]}")
        return out


STEPS: dict[str, type] = {
    "exact_duplicate": ExactDuplicate,
    "normalised_duplicate": NormalisedDuplicate,
    "near_duplicate": NearDuplicate,
    "length": Length,
    "schema": Schema,
    "disjoint": Disjoint,
}
"""Step name in a project file → its class."""

CHOICES = {"shapes": tuple(SHAPES), "by": ("subject", "group", "text"), "action": ("lower", "remove")}
"""Option → allowed values, for those that have a closed set."""
RANGES = {"threshold": (0.5, 1.0), "floor": (0, 1_000_000)}
"""Option → least and greatest value."""
