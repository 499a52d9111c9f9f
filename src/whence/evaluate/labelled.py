"""Pairs of answers that people labelled blind: what a judge is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from whence.store.lines import read_lines

Id = Annotated[str, Field(min_length=1)]


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Labelled:
    """Two answers to a question and which of them people chose, without knowing whose they were."""

    id: Id
    """unique in the file"""
    question: Id
    a: str
    b: str
    chosen: Literal["a", "b", "tie"]
    """by people"""
    a_by: Id | None = None
    """the model that wrote it, as `Judge.called` has it"""
    b_by: Id | None = None
    a_ok: bool | None = None
    """whether people call it acceptable, whatever the other is"""
    b_ok: bool | None = None

    @property
    def label(self) -> float:
        """1 where a was chosen, −1 where b was, 0 for neither."""
        return {"a": 1.0, "tie": 0.0, "b": -1.0}[self.chosen]

    @property
    def longer(self) -> float:
        """Hundreds of words by which a is longer."""
        return (len(self.a.split()) - len(self.b.split())) / 100


def read_labelled(path: Path) -> list[Labelled]:
    """The pairs of a file of JSON lines with the members of `Labelled`, blank lines skipped. Raises Unmet that names
    every bad line."""
    first = dict[str, int]()

    def take(one: Labelled, number: int) -> Labelled:
        at = first.setdefault(one.id, number)
        if at != number:
            raise ValueError(f"{one.id!r} stands in line {at} already")
        return one

    form = '{"id": …, "question": …, "a": …, "b": …, "chosen": "a"}'
    return [*read_lines(path, Labelled, take, holds="pair", form=form, then="the judge was asked nothing").values()]
