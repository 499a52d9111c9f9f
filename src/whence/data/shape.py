"""From a record of any format to the content of one row, by a mapping of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whence.data.json_file import MEMBERS
from whence.records import SHAPES, Json, content_fault

FACTS = ("id", "subject", "group", "licence", "slices", "parents", "generator", "collected_at", "inspired_by")
"""What a mapping may name besides the members of content."""

OPTIONAL = {"chat": ("tools",), "preference": ("prompt", "tools"), "prompt_completion": ("tools",)}
"""Members that a shape may carry beyond those it needs."""


@dataclass(frozen=True, slots=True)
class FieldMap:
    """A resolved mapping: which field of a record is which member of content, and where the facts stand."""

    members: tuple[tuple[str, str], ...]
    """(member, field); empty: members are read under their own names"""
    shape: str | None
    """that these members make; None: seen in each record"""
    facts: tuple[tuple[str, str], ...]
    """(fact, field)"""
    slices: tuple[str, ...]
    """fields"""

    @classmethod
    def of(cls, declared: Mapping[str, str | Sequence[str]]) -> FieldMap:
        """From the project file's ``map``."""
        members = tuple((m, str(declared[m])) for m in (*sorted(MEMBERS), "tools") if m in declared)
        slices = declared.get("slices", ())
        facts = tuple((f, str(declared[f])) for f in FACTS if f in declared and f != "slices")
        shape = _shape({m for m, _ in members})
        kept = tuple((m, f) for m, f in members if shape is None or m in SHAPES[shape] + OPTIONAL.get(shape, ()))
        return cls(kept, shape, facts, (slices,) if isinstance(slices, str) else tuple(slices))


def content_of(record: Mapping[str, Json], mapping: FieldMap) -> tuple[Json, str | None]:
    """(content, None), or (None, why it is no training item). Reasons quote no content."""
    content: dict[str, Json] = {}
    if mapping.members:
        for member, field in mapping.members:
            value = record.get(field)
            if value is not None:
                content[member] = value
            elif member != "tools":
                return None, f"field {field!r} is missing"
        shape = mapping.shape
    else:
        shape = _shape({m for m in MEMBERS if record.get(m) is not None})
        for member in SHAPES[shape] + OPTIONAL.get(shape, ()) if shape else ():
            if record.get(member) is not None:
                content[member] = record[member]
    if shape is None:
        fields = ", ".join(sorted(map(repr, record))[:8]) or "none"
        return None, f"no shape fits the fields {fields}; expected e.g. 'messages', or 'prompt' and 'completion'"
    content["shape"] = shape
    fault = content_fault(content)
    return (None, fault) if fault else (content, None)


def _shape(held: set[str]) -> str | None:
    """The first shape whose members are all there."""
    return next((shape for shape, needed in SHAPES.items() if held.issuperset(needed)), None)
