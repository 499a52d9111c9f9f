"""The seven shapes of a training item, and what makes one whole.

A row's content is free JSON with the member ``shape``; the other members are those that TRL's trainers read.
"""

from __future__ import annotations

from collections.abc import Iterator

from whence.records.canonical import Json

SHAPES: dict[str, tuple[str, ...]] = {
    "chat": ("messages",),
    "preference": ("chosen", "rejected"),
    "rated": ("prompt", "completion", "label"),
    "stepwise": ("prompt", "completions", "labels"),
    "prompt_completion": ("prompt", "completion"),
    "text": ("text",),
    "prompt": ("prompt",),
}
"""Shape → required members, in the order in which a record is recognised (the more specific first)."""

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def content_fault(content: Json) -> str | None:
    """Why this content is not a whole item of its shape, or None. The reason quotes no content."""
    shape = content.get("shape")
    if not isinstance(shape, str) or shape not in SHAPES:
        return f"shape is {shape!r}, expected one of {', '.join(SHAPES)}"
    for member in SHAPES[shape]:
        fault = _FAULTS[member](content.get(member))
        if fault:
            return f"{member} {fault}"
    if shape == "stepwise" and len(content["completions"]) != len(content["labels"]):
        return f"{len(content['completions'])} completions but {len(content['labels'])} labels"
    return None


def _text_fault(value: Json) -> str | None:
    """Text, or a conversation where TRL allows one (a prompt, a completion, a chosen answer)."""
    if isinstance(value, str):
        return "is empty" if not value or value.isspace() else None
    return _turns_fault(value) if isinstance(value, list) else _wrong(value, "text")


def _turns_fault(value: Json) -> str | None:
    if not isinstance(value, list) or not value:
        return _wrong(value, "a list of turns") if value != [] else "is empty"
    for i, turn in enumerate(value):
        role = turn.get("role") if isinstance(turn, dict) else None
        if not isinstance(role, str) or role not in ROLES:
            return f"turn {i} has no role out of {', '.join(sorted(ROLES))}"
        said, calls = turn.get("content"), turn.get("tool_calls")
        if said is not None and not isinstance(said, str | list):
            return f"content of turn {i} {_wrong(said, 'text')}"
        if calls is not None and not isinstance(calls, list):
            return f"tool_calls of turn {i} {_wrong(calls, 'a list')}"
        if said is None and not calls:
            return f"turn {i} has neither content nor tool_calls"
    return None


def _bools_fault(value: Json) -> str | None:
    return None if isinstance(value, list) and all(type(v) is bool for v in value) else _wrong(value, "true/false list")


def _texts_fault(value: Json) -> str | None:
    fine = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
    return None if fine else _wrong(value, "a list of texts")


def _bool_fault(value: Json) -> str | None:
    return None if type(value) is bool else _wrong(value, "true or false")


def _wrong(value: Json, expected: str) -> str:
    return "is missing" if value is None else f"is {type(value).__name__}, expected {expected}"


_FAULTS = {
    "messages": _turns_fault,
    "label": _bool_fault,
    "labels": _bools_fault,
    "completions": _texts_fault,
} | dict.fromkeys(("prompt", "completion", "text", "chosen", "rejected"), _text_fault)


def texts(content: Json) -> Iterator[str]:
    """Every text a person would read in the item, in order; tool arguments and results included."""
    for member in ("messages", "prompt", "completion", "completions", "text", "chosen", "rejected"):
        if member in content:
            yield from _strings(content[member])


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "role":
                yield from _strings(item)
