"""A model that answers by a rule: for tests, for trials of a pipeline, for checks that need an answer known in advance.

It comes through the same port as a real one: it streams, stops at stop texts, counts and cuts at `max_tokens`, can be
cancelled. A token is a word with the space before it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from whence.models.port import Guess, OnText, Reply, Request, Scored

TOKEN = re.compile(r"\s*\S+|\s+$")


class ScriptedModel:
    """Answers by a function of the request, or by a table from the last turn's text to the answer.

    `seconds_per_token` is slept before each token of a batch, as a model would take it.
    """

    def __init__(self, answer: Callable[[Request], str] | Mapping[str, str], seconds_per_token: float = 0.0) -> None:
        self._answer = answer if callable(answer) else _table(answer)
        self._seconds_per_token = seconds_per_token

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """Answer each request; token by token through the batch, as a model does."""
        tokens = [TOKEN.findall(_cut(self._answer(request), request.stop)) for request in requests]
        most = [min(len(t), request.max_tokens) for t, request in zip(tokens, requests, strict=True)]
        given, cancelled = [0] * len(requests), [False] * len(requests)
        while running := [i for i in range(len(requests)) if given[i] < most[i] and not cancelled[i]]:
            if self._seconds_per_token:
                time.sleep(self._seconds_per_token)
            for i in running:
                given[i] += 1
                cancelled[i] = on_text is not None and not on_text(i, tokens[i][given[i] - 1])
        return [
            Reply(
                text="".join(tokens[i][: given[i]]),
                prompt_tokens=sum(len(TOKEN.findall(str(turn.get("content") or ""))) for turn in request.messages),
                completion_tokens=given[i],
                finish="cancelled" if cancelled[i] else "length" if given[i] < len(tokens[i]) else "stop",
            )
            for i, request in enumerate(requests)
        ]

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """Answer each request; a rule is certain of each token."""
        texts = [reply.text for reply in self.generate(requests)]
        certain = [tuple((Guess(text=token, logprob=0.0),) for token in TOKEN.findall(text)) for text in texts]
        return [Scored(text=text, steps=steps) for text, steps in zip(texts, certain, strict=True)]


def _table(answers: Mapping[str, str]) -> Callable[[Request], str]:
    def answer(request: Request) -> str:
        return answers.get(str(request.messages[-1].get("content")), "")

    return answer


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop text."""
    return text[: min((text.index(s) for s in stop if s in text), default=len(text))]
