"""The model port: what evaluation and serving ask of a model, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from whence.records import Json

OnText = Callable[[int, str], bool]
"""``on_text(i, piece)``: new text of request i; return False to stop that request."""
Finish = Literal["stop", "length", "cancelled", "error"]
"""Why an answer ended."""


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
    finish: Finish
    reason: str | None = None
    """why it ended in error, where that is known"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One token that might come next."""

    text: str
    """the token"""
    logprob: float
    """natural logarithm of its probability"""
    id: int | None = None
    """in the tokenizer's vocabulary; None: not known"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An answer with what the model thought at each of its tokens."""

    text: str
    """the answer"""
    steps: tuple[tuple[Guess, ...], ...]
    """for each of its tokens, the end included: the likeliest, likeliest first; empty where the model tells none"""


class Model(Protocol):
    """Anything that answers conversations."""

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """Answer each request, in order. Requests for different adapters may share a call. One that fails by itself
        ends in error; raises BackendFailed where none is answered."""


class Scoring(Model, Protocol):
    """A model that tells how likely its tokens were, as far as it knows. Not every model does."""

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """Answer each request, in order, with the `top` likeliest tokens at each position. Raises BackendFailed."""


class Open(Scoring, Protocol):
    """A model in this process, which hides nothing."""

    def distributions(self, requests: Sequence[Request]) -> NDArray[np.float32]:
        """(requests, vocabulary): log-probabilities of the first token of each answer. Raises BackendFailed."""
