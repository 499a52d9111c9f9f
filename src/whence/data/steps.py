"""Curation steps. Each looks at the rows that are left and says which go, why, and because of which row.

A step is a frozen dataclass whose fields are its options; ``remove`` returns a `Removal`. Nothing else decides that a
row is not in the data.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa

from whence.records import SHAPES, content_fault, texts
from whence.store import RowSet, Store
from whence.text import normalise


@dataclass(slots=True)
class Removal:
    """Rows that a step does not keep: ordinal → (reason code, ordinal of the row that it is because of)."""

    rows: dict[int, tuple[str, int | None]] = field(default_factory=dict)

    def drop(self, ordinal: int, reason: str, because: int | None = None) -> None:
        """This row goes."""
        self.rows[ordinal] = (reason, because)

    def table(self) -> pa.Table:
        """Columns ordinal (uint64), reason (string), because (uint64 or null)."""
        ordinals = sorted(self.rows)
        return pa.table(
            {
                "ordinal": pa.array(ordinals, pa.uint64()),
                "reason": pa.array([self.rows[o][0] for o in ordinals], pa.string()),
                "because": pa.array([self.rows[o][1] for o in ordinals], pa.uint64()),
            }
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that earlier steps left, read as a step needs them."""

    store: Store
    left: RowSet
    groups: Mapping[str, Iterable[tuple[str, str]]]
    """what suites hold: ``group``, ``subject`` or ``text`` → (value, suite name)"""
    told: Callable[[int], None] = lambda _: None

    def columns(self, *names: str) -> Iterator[tuple[object, ...]]:
        """(ordinal, *values) of each row, in the order of the row file."""
        done = 0
        for chunk in self.store.scan(["ord", *names], self.left):
            yield from zip(*(chunk[name].to_pylist() for name in ("ord", *names)), strict=True)
            done += chunk.num_rows
            self.told(done)


class CurationStep(Protocol):
    """What `curate` asks of a step."""

    version: ClassVar[int]

    def remove(self, rows: Rows) -> Removal:
        """The rows that go."""


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


def answer_of(content: dict[str, object]) -> str | None:
    """The text that the model is to learn to say: the completion, or the last assistant turn."""
    turns = content.get("messages", content.get("completion"))
    if isinstance(turns, list):
        said = [t.get("content") for t in turns if t.get("role") == "assistant"]
        return said[-1] if said else None
    return turns if isinstance(turns, str) else None


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


def question_of(content: dict[str, object]) -> str:
    """The text that the model is asked: the prompt, or the last user turn."""
    turns = content.get("messages", content.get("prompt"))
    if isinstance(turns, list):
        turns = next((t.get("content") for t in reversed(turns) if t.get("role") == "user"), None)
    return turns if isinstance(turns, str) else ""


STEPS: dict[str, type] = {
    "exact_duplicate": ExactDuplicate,
    "normalised_duplicate": NormalisedDuplicate,
    "length": Length,
    "schema": Schema,
    "disjoint": Disjoint,
}
"""Step name in a project file → its class."""

CHOICES = {"shapes": tuple(SHAPES), "by": ("subject", "group", "text")}
"""Option → allowed values, for those that have a closed set."""
