"""Conversations as token ids with a loss mask, through the base's own chat template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from whence.records import Json, Unmet
from whence.train.rows import Conversation, Fed, conversation

IGNORED = -100
"""Label of a token that is not learnt (torch's cross-entropy leaves it out)."""

Ids = npt.NDArray[np.int64]


@dataclass(slots=True)
class Tokenised:
    """The rows that are fed, in order of ordinal, and those that are not, with the reason."""

    ordinals: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    """row ids in hex"""
    sources: list[str] = field(default_factory=list)
    input_ids: list[Ids] = field(default_factory=list)
    """token ids; shape (tokens of the row,)"""
    labels: list[Ids] = field(default_factory=list)
    """the same, `IGNORED` where the token is not learnt"""
    cut: int = 0
    """rows fed without their last tokens"""
    not_fed: list[tuple[int, str]] = field(default_factory=list)
    """(ordinal, reason)"""

    def reasons(self) -> dict[str, int]:
        """reason → rows not fed."""
        return dict(Counter(reason for _, reason in self.not_fed))

    def learnt(self) -> int:
        """Tokens that are learnt in one epoch."""
        return sum(int((labels != IGNORED).sum()) for labels in self.labels)


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


def tokenise(rows: Iterable[Fed], tokenizer: Any, max_length: int, beat: Callable[[int], None]) -> Tokenised:
    """Every row either fed or not fed for a reason: erased, template (the base's template refuses the turns),
    no_answer (nothing to learn in it) or truncated (the whole answer lies beyond `max_length` tokens).

    beat: called with the number of rows done after each of them.
    """
    from jinja2 import TemplateError

    out = Tokenised()
    for done, row in enumerate(sorted(rows, key=lambda row: row.ordinal), 1):
        reason = None if row.content is not None else "erased"
        if reason is None:
            try:
                input_ids, labels = encoded(conversation(row.content), tokenizer)
            except TemplateError:
                reason = "template"
            else:
                reason = _add(out, row, input_ids, labels, max_length)
        if reason:
            out.not_fed.append((row.ordinal, reason))
        beat(done)
    return out


def _add(out: Tokenised, row: Fed, input_ids: Ids, labels: Ids, max_length: int) -> str | None:
    if not (labels[1:] != IGNORED).any():
        return "no_answer"
    if not (labels[1:max_length] != IGNORED).any():
        return "truncated"
    out.ordinals.append(row.ordinal)
    out.ids.append(row.id)
    out.sources.append(row.source)
    out.input_ids.append(input_ids[:max_length])
    out.labels.append(labels[:max_length])
    out.cut += len(input_ids) > max_length
    return None


def encoded(talk: Conversation, tokenizer: Any) -> tuple[Ids, Ids]:
    """(token ids, labels) of a conversation, both of shape (tokens,); only the assistant's tokens after the first
    `given` turns are labelled."""
    whole = tokenizer.apply_chat_template(
        talk.messages, tools=talk.tools, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    input_ids = np.asarray(whole["input_ids"], np.int64)
    spoken = np.asarray(whole["assistant_masks"], bool)
    if any(turn.get("role") == "assistant" for turn in talk.messages[: talk.given]):
        spoken[: _shared(talk, tokenizer, input_ids)] = False
    return input_ids, np.where(spoken, input_ids, IGNORED)


def _shared(talk: Conversation, tokenizer: Any, whole: Ids) -> int:
    """How many leading tokens the given turns alone have in common with the whole conversation."""
    given = tokenizer.apply_chat_template(
        talk.messages[: talk.given], tools=talk.tools, tokenize=True, return_dict=True, add_generation_prompt=True
    )["input_ids"]
    length = min(len(given), len(whole))
    differs = np.flatnonzero(np.asarray(given[:length], np.int64) != whole[:length])
    return int(differs[0]) if len(differs) else length


def example(input_ids: Ids, labels: Ids, tokenizer: Any) -> list[Json]:
    """A row as [text piece, learnt] pairs: consecutive tokens of one kind decoded together."""
    learnt = labels != IGNORED
    edges = [0, *(np.flatnonzero(np.diff(learnt)) + 1).tolist(), len(labels)]
    return [[tokenizer.decode(input_ids[start:end]), bool(learnt[start])] for start, end in pairwise(edges)]
