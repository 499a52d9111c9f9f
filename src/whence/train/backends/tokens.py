"""Rows as token ids with a loss mask, through the base's own chat template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from whence.records import Json, Unmet
from whence.records.methods import Method
from whence.train.rows import Conversation, Fed, asked, conversation, pair

IGNORED = -100
"""Label of a token that is not learnt (torch's cross-entropy leaves it out)."""

Ids = npt.NDArray[np.int64]


class Side(NamedTuple):
    """A conversation as tokens."""

    ids: Ids
    """token ids; shape (tokens,)"""
    labels: Ids
    """the same, `IGNORED` where the token is not learnt"""


@dataclass(slots=True)
class Tokenised:
    """The rows that are fed, in order of ordinal, and those that are not, with the reason."""

    ordinals: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """row ids in hex"""
    sources: list[str] = field(default_factory=list)
    sides: list[tuple[Side, ...]] = field(default_factory=list)
    """of each row: chosen and rejected of a preference, else one; grpo: the prompt, nothing of it learnt"""
    contents: list[Json] = field(default_factory=list)
    """of each row, where the method reads more of it than its tokens; else None"""
    weights: npt.NDArray[np.float64] = field(default_factory=lambda: np.ones(0))
    """of each row, once they are known: the share of the epochs in which it is fed, on average"""
    passes: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    """times that each row is fed, once the plan is frozen"""
    cut: int = 0
    """rows fed without their last tokens"""
    not_fed: list[tuple[int, str]] = field(default_factory=list)
    """(ordinal, reason)"""

    def reasons(self) -> dict[str, int]:
        """reason → rows not fed."""
        return dict(Counter(reason for _, reason in self.not_fed))

    def learnt(self) -> Ids:
        """Tokens of each row's answers that the loss looks at; shape (rows,)."""
        return np.array([sum(int((side.labels != IGNORED).sum()) for side in row) for row in self.sides], np.int64)

    def feed(self, passes: Ids) -> None:
        """Each row this many times; those that are never fed, for their low weight, are left out."""
        fed = np.flatnonzero(passes)
        self.not_fed += [(self.ordinals[i], "lowered") for i in np.flatnonzero(passes == 0)]
        for name in ("ordinals", "ids", "sources", "sides", "contents"):
            setattr(self, name, [getattr(self, name)[i] for i in fed])
        self.weights, self.passes = self.weights[fed], passes[fed]

    def read(self) -> Ids:
        """Tokens of each row; shape (rows,)."""
        return np.array([sum(len(side.ids) for side in row) for row in self.sides], np.int64)


def check_template(tokenizer: Any) -> None:
    """Raises Unmet where the chat template does not say which tokens the assistant speaks, its last one included."""
    from trl.chat_template_utils import is_chat_template_stop_token_trained

    template = tokenizer.chat_template
    template = template.get("default") if isinstance(template, dict) else template
    if not template:
        raise Unmet("the base has no chat template", "one with {% generation %}", "put chat_template.jinja beside it")
    if not re.search(r"\{%-?\s*generation\s*-?%\}", template):
        raise Unmet(
            "the base's chat template does not mark what the assistant says",
            "{% generation %} … {% endgeneration %} around the assistant's turn and its end token",
            "save a copy of the base with such a template and name the copy as base",
        )
    if not is_chat_template_stop_token_trained(tokenizer):
        raise Unmet(
            "the base's chat template leaves the assistant's end token outside {% generation %}",
            "the end token inside, or the model never learns to stop",
            "save a copy of the base with such a template and name the copy as base",
        )


def tokenise(
    rows: Iterable[Fed], tokenizer: Any, method: Method, max_length: int, beat: Callable[[int], None]
) -> Tokenised:
    """Every row either fed or not fed for a reason: erased, shape (the method does not take it), template (the base's
    template refuses the turns), no_answer (nothing to learn in it), truncated (the whole answer, of a pair either one,
    lies beyond `max_length` tokens; grpo: the prompt does) or same (within `max_length` both sides of a pair are one).

    beat: called with the number of rows done after each of them.
    """
    from jinja2 import TemplateError

    out = Tokenised()
    for done, row in enumerate(sorted(rows, key=lambda row: row.ordinal), 1):
        reason = "erased" if row.content is None else None
        if reason is None and row.content["shape"] not in method.shapes:
            reason = "shape"
        if reason is None:
            try:
                sides = _sides(row.content, tokenizer, method)
            except TemplateError:
                reason = "template"
            else:
                reason = _add(out, row, sides, method, max_length)
        if reason:
            out.not_fed.append((row.ordinal, reason))
        beat(done)
    return out


def _sides(content: Json, tokenizer: Any, method: Method) -> tuple[Side, ...]:
    if method.reads == "pair":
        return tuple(encoded(side, tokenizer) for side in pair(content))
    if method.reads == "prompt":
        prompt = _prompted(asked(content), tokenizer)
        return (Side(prompt, np.full(len(prompt), IGNORED)),)
    return (encoded(conversation(content), tokenizer),)


def _add(out: Tokenised, row: Fed, sides: tuple[Side, ...], method: Method, max_length: int) -> str | None:
    kept = tuple(Side(side.ids[:max_length], side.labels[:max_length]) for side in sides)
    if reason := _fault(sides, kept, method):
        return reason
    out.ordinals.append(row.ordinal)
    out.ids.append(row.id)
    out.sources.append(row.source)
    out.sides.append(kept)
    out.contents.append(row.content if method.reads in ("label", "prompt") else None)
    out.cut += any(len(side.ids) < len(whole.ids) for side, whole in zip(kept, sides, strict=True))
    return None


def _fault(whole: tuple[Side, ...], kept: tuple[Side, ...], method: Method) -> str | None:
    if method.reads == "prompt":
        return "truncated" if len(kept[0].ids) < len(whole[0].ids) else None
    if not all(_teaches(side) for side in whole):
        return "no_answer"
    if not all(_teaches(side) for side in kept):
        return "truncated"
    return "same" if method.reads == "pair" and np.array_equal(kept[0].ids, kept[1].ids) else None


def _teaches(side: Side) -> bool:
    """Whether a token after the first is learnt: nothing comes before the first to tell it from."""
    return bool((side.labels[1:] != IGNORED).any())


def encoded(talk: Conversation, tokenizer: Any) -> Side:
    """A conversation as tokens; only what the assistant says after the first `given` turns is labelled."""
    whole = tokenizer.apply_chat_template(
        talk.messages, tools=talk.tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    input_ids = np.asarray(whole["input_ids"], np.int64)
    spoken = np.asarray(whole["assistant_masks"], bool)
    if any(turn.get("role") == "assistant" for turn in talk.messages[: talk.given]):
        spoken[: _shared(talk, tokenizer, input_ids)] = False
    return Side(input_ids, np.where(spoken, input_ids, IGNORED))


def _shared(talk: Conversation, tokenizer: Any, whole: Ids) -> int:
    """How many leading tokens the given turns alone have in common with the whole conversation."""
    given = _prompted(talk, tokenizer)
    length = min(len(given), len(whole))
    differs = np.flatnonzero(given[:length] != whole[:length])
    return int(differs[0]) if len(differs) else length


def _prompted(talk: Conversation, tokenizer: Any) -> Ids:
    """The given turns alone, up to where the assistant begins to speak; shape (tokens,)."""
    given = tokenizer.apply_chat_template(
        talk.messages[: talk.given], tools=talk.tools, tokenize=True, return_dict=True, add_generation_prompt=True
    )
    return np.asarray(given["input_ids"], np.int64)


def example(sides: tuple[Side, ...], tokenizer: Any) -> list[Json]:
    """A row as [text piece, learnt] pairs: consecutive tokens of one kind decoded together, side after side."""
    return [piece for side in sides for piece in _pieces(side, tokenizer)]


def _pieces(side: Side, tokenizer: Any) -> list[Json]:
    learnt = side.labels != IGNORED
    edges = [0, *(np.flatnonzero(np.diff(learnt)) + 1).tolist(), len(learnt)]
    return [[tokenizer.decode(side.ids[start:end]), bool(learnt[start])] for start, end in pairwise(edges)]
