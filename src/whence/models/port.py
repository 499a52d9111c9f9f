"""The model port: what evaluation and serving ask of a model, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from whence.records import Json

OnText = Callable[[int, str], bool]
"""``on_text(i, piece)``: new text of request i; return False to stop that request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One conversation to be continued."""

    messages: Sequence[Json]
    """turns in chat shape: role, content, tool_calls …"""
    adapter: str | None = None
    """name under which an adapter was loaded; None: the base alone"""
    tools: Sequence[Json] | None = None
    """tool schemas for the chat template"""
    max_tokens: int = 64
    """tokens at most"""
    temperature: float = 0.0
    """0: greedy"""
    top_p: float = 1.0
    """nucleus; 1: off"""
    seed: int | None = None
    """for sampling"""
    stop: Sequence[str] = ()
    """texts that end the answer, not part of it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model answered."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish: Literal["stop", "length", "cancelled", "error"]


class Model(Protocol):
    """Anything that answers conversations."""

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """Answer each request, in order. Requests for different adapters may share a call. Raises BackendFailed."""
