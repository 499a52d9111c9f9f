"""Rows as SFT takes them: a conversation, of which the assistant's turns are learnt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from whence.records import Json, Snapshot, Unmet
from whence.store import Store

SHAPES = ("chat", "prompt_completion")
"""What SFT learns from; the other shapes have no turn that is marked as the answer."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row as turns."""

    messages: list[Json]
    """role, content, tool_calls …"""
    tools: list[Json] | None = None
    """tool schemas for the chat template"""
    given: int = 0
    """leading turns that are never learnt, whoever speaks in them"""


@dataclass(frozen=True, slots=True)
class Fed:
    """One row of the snapshot as stored."""

    ordinal: int
    id: str
    """hex"""
    source: str
    content: Json
    """None where it was erased"""


def read(store: Store, snapshot: Snapshot) -> Iterator[Fed]:
    """The snapshot's rows in storage order. Raises Unmet at the first row of a shape that SFT does not take."""
    for batch in store.scan(["ord", "id", "source", "shape", "content"], rows=store.snapshot_rows(snapshot)):
        columns = (batch[name].to_pylist() for name in ("ord", "id", "source", "shape", "content"))
        for ordinal, name, source, shape, content in zip(*columns, strict=True):
            if shape not in SHAPES:
                raise Unmet(
                    f"row {ordinal} of {source} has the shape {shape}",
                    f"rows that SFT takes: {', '.join(SHAPES)}",
                    "leave such rows out with the curation step `schema`, or map them to one of these shapes",
                )
            yield Fed(ordinal, name.hex(), source, None if content is None else json.loads(content))


def conversation(content: Json) -> Conversation:
    """The turns of a chat, or of a prompt and its completion: texts become a user turn and an assistant turn."""
    tools = content.get("tools")
    if content["shape"] == "chat":
        return Conversation(content["messages"], tools)
    prompt = _turns(content["prompt"], "user")
    return Conversation(prompt + _turns(content["completion"], "assistant"), tools, given=len(prompt))


def _turns(value: Json, role: str) -> list[Json]:
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)
