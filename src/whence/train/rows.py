"""Rows as a method takes them: conversations, of which some of the assistant's turns are learnt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from whence.records import Json, Snapshot
from whence.store import Store


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row, or one side of a pair, as turns."""

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
    """The snapshot's rows in storage order, whatever their shape."""
    for batch in store.scan(["ord", "id", "source", "content"], rows=store.snapshot_rows(snapshot)):
        columns = (batch[name].to_pylist() for name in ("ord", "id", "source", "content"))
        for ordinal, name, source, content in zip(*columns, strict=True):
            yield Fed(ordinal, name.hex(), source, None if content is None else json.loads(content))


def weights_of(store: Store, blob: str | None, ordinals: Sequence[int]) -> npt.NDArray[np.float64]:
    """The weight of each row, shape (rows,). blob: of a snapshot or a plan; None: all are 1."""
    lowered = store.get_weights(blob)
    return np.array([lowered.get(ordinal, 1.0) for ordinal in ordinals], np.float64)


def conversation(content: Json) -> Conversation:
    """The turns of a chat, or of a prompt and its completion: texts become a user turn and an assistant turn."""
    tools = content.get("tools")
    if content["shape"] == "chat":
        return Conversation(content["messages"], tools)
    prompt = asked(content)
    return Conversation(prompt.messages + _turns(content["completion"], "assistant"), tools, prompt.given)


def messages_of(content: Json) -> list[Json]:
    """Every turn of a row of any shape; of a preference the chosen side's."""
    if content["shape"] == "chat":
        return list(content["messages"])
    if "prompt" in content:
        return _turns(content["prompt"], "user")
    return _turns(content.get("chosen", ""), "assistant")


def asked(content: Json) -> Conversation:
    """The turns of a prompt alone."""
    prompt = _turns(content["prompt"], "user")
    return Conversation(prompt, content.get("tools"), given=len(prompt))


def pair(content: Json) -> tuple[Conversation, Conversation]:
    """A preference as (chosen, rejected). Without a prompt, the turns that both begin with are given."""
    chosen, rejected = (_turns(content[side], "assistant") for side in ("chosen", "rejected"))
    prompt = _turns(content["prompt"], "user") if content.get("prompt") else []
    shared = sum(1 for _ in takewhile(lambda turns: turns[0] == turns[1], zip(chosen, rejected, strict=False)))
    given, tools = len(prompt) or shared, content.get("tools")
    return Conversation(prompt + chosen, tools, given), Conversation(prompt + rejected, tools, given)


def _turns(value: Json, role: str) -> list[Json]:
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)
