"""Pairs of answers that people labelled blind: what a judge is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from whence.records import Unmet

SHOWN = 20
"""Faults of a file that are written out."""
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
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file of JSON lines", "name one") from error
    adapter, found, faults = TypeAdapter(Labelled), dict[str, tuple[int, Labelled]](), list[str]()
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
        first_at, _ = found.setdefault(one.id, (number, one))
        if first_at != number:
            faults.append(f"{path}:{number}: {one.id!r} stands in line {first_at} already")
    if not found and not faults:
        faults.append(f"{path}: holds no pair")
    if faults:
        more = [f"… and {len(faults) - SHOWN:,} more"] if len(faults) > SHOWN else []
        form = '{"id": …, "question": …, "a": …, "b": …, "chosen": "a"} a line'
        raise Unmet("\n  ".join(faults[:SHOWN] + more), form, "correct these lines; the judge was asked nothing")
    return [one for _, one in found.values()]
