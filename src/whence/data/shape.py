"""From a record of any format to the content of one row, by a mapping of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whence.data.readers import MEMBERS
from whence.records import SHAPES, Json, content_fault

FACTS = ("id", "subject", "group", "licence", "slices", "parents", "generator")
"""What a mapping may name besides the members of content."""

OPTIONAL = {"chat": ("tools",), "preference": ("prompt", "tools"), "prompt_completion": ("tools",)}
"""Members that a shape may carry beyond those it needs."""


@dataclass(frozen=True, slots=True)
class FieldMap:
    """A resolved mapping: member of content → field of the record, and where the facts stand."""

    content: Mapping[str, str]
    facts: Mapping[str, str]
    slices: Sequence[str]
    shape: str | None
    """known beforehand where the mapping names the members"""

    @classmethod
    def of(cls, declared: Mapping[str, str | Sequence[str]]) -> FieldMap:
        """From the project file's ``map``; members that it does not name are read under their own names."""
        content = {m: str(declared[m]) for m in (*sorted(MEMBERS), "tools") if m in declared}
        slices = declared.get("slices", ())
        facts = {f: str(declared[f]) for f in FACTS if f in declared and f != "slices"}
        shape = _shape(set(content)) if content else None
        return cls(content, facts, (slices,) if isinstance(slices, str) else tuple(slices), shape)


def content_of(record: Mapping[str, Json], mapping: FieldMap) -> tuple[Json, str | None]:
    """(content, None), or (None, why it is no training item). Reasons quote no content."""
    members: Mapping[str, Json] = record
    if mapping.content:
        members = {m: record.get(f) for m, f in mapping.content.items()}
        absent = [f for m, f in mapping.content.items() if members[m] is None and m != "tools"]
        if absent:
            return None, f"field {', '.join(map(repr, absent))} is missing"
    shape = mapping.shape or _shape(members)
    if shape is None:
        fields = ", ".join(sorted(map(repr, record))[:8]) or "none"
        return None, f"no shape fits the fields {fields}; expected e.g. 'messages', or 'prompt' and 'completion'"
    content = {"shape": shape}
    for member in SHAPES[shape] + OPTIONAL.get(shape, ()):
        value = members.get(member)
        if value is not None:
            content[member] = value
    fault = content_fault(content)
    return (None, fault) if fault else (content, None)


def _shape(members: Mapping[str, Json] | set[str]) -> str | None:
    """The first shape whose members are all there."""
    held = {m for m in members if members[m] is not None} if isinstance(members, Mapping) else members
    return next((shape for shape, needed in SHAPES.items() if held.issuperset(needed)), None)
