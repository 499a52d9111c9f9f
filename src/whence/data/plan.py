"""What is to be read, and one row on its way into the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from whence.data.doors import Place
from whence.records import Source

Texts = Sequence[str | None]
Admit = Callable[[Source, Texts, Texts, Sequence[datetime | None]], Texts]
"""``admit(source, subjects, licences, when each was collected)`` → for each row None, or the code of the
right that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One file of one source, and how to read it."""

    source: Source
    path: Place
    format: str
    map: Mapping[str, str | Sequence[str]]
    rights: str
    """digest of the rights that `admit` decides by: a changed right is a new run"""


class Pending(NamedTuple):
    """One row on its way into the file; a batch of them is turned into columns at once."""

    line: int
    id: bytes
    record: str
    shape: str
    content: str
    digest: bytes
    subject: str | None
    group: str | None
    licence: str | None
    slices: str | None
    parents: list[str] | None
    generator: str | None
    collected_at: datetime | None
    inspired_by: list[str] | None
