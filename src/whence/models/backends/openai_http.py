"""A hosted model behind an OpenAI-compatible ``/v1/chat/completions``, by the standard library's client.

No redirect is followed, so that a key goes to the host that was named and nowhere else.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import urlsplit

from whence.models.port import Finish, Guess, OnText, Reply, Request, Scored
from whence.records import BackendFailed, Json, Unmet

TIMEOUT_S = 120
TRIES = 3
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which the same request may fare better."""
WAIT_S = 20.0
"""Longest wait between two tries."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OpenAIModel:
    """One hosted model. Requests go one after the other; a conversation's adapter is the model's own affair.

    url: up to and without ``/chat/completions``, such as ``https://api.example.org/v1``. key: name of the environment
    variable that holds the key; None: none is sent. Raises Unmet for an address or key that cannot be used.
    """

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            expected = "http(s)://HOST[:PORT][/PATH] without a name, a password or a query"
            raise Unmet(f"{parts.hostname or url!r} is named by an address that cannot be asked", expected, "mend it")
        token = os.environ.get(key) if key else None
        if key and not token:
            raise Unmet(f"the environment holds no {key}", "the key of the hosted model", f"export {key}=…")
        if token and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise Unmet(f"the key would go to {parts.hostname} unencrypted", "https", "name an https address")
        self._parts, self._model, self._tells = parts, model, True
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """See the port; an answer comes whole. Raises BackendFailed."""
        replies = []
        for i, request in enumerate(requests):
            said = self._ask(request, {})
            text, usage = _text(said), said.get("usage") or {}
            go_on = on_text is None or not text or on_text(i, text)
            finish = said["choices"][0].get("finish_reason")
            replies.append(
                Reply(
                    text=text,
                    prompt_tokens=int(usage.get("prompt_tokens") or 0),
                    completion_tokens=int(usage.get("completion_tokens") or 0),
                    finish=(finish if finish in get_args(Finish) else "stop") if go_on else "cancelled",
                )
            )
        return replies

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """See the port; without steps where the server tells none. Raises BackendFailed."""
        return [self._scored(request, top) for request in requests]

    def _scored(self, request: Request, top: int) -> Scored:
        if self._tells:
            try:
                said = self._ask(request, {"logprobs": True, "top_logprobs": top})
                return Scored(text=_text(said), steps=_steps(said))
            except _Refused:
                self._tells = False
        return Scored(text=_text(self._ask(request, {})), steps=())

    def _ask(self, request: Request, more: Mapping[str, Json]) -> Json:
        body: dict[str, Json] = {
            "model": self._model,
            "messages": list(request.messages),
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            **({"seed": request.seed} if request.seed is not None else {}),
            **({"stop": list(request.stop)} if request.stop else {}),
            **({"tools": list(request.tools)} if request.tools else {}),
            **more,
        }
        for attempt in range(1, TRIES + 1):
            status, after, raw = self._post(json.dumps(body).encode(), attempt)
            if status == 200:
                return _read(raw, self._parts.hostname)
            if status in AGAIN and attempt < TRIES:
                time.sleep(min(after if after is not None else 2.0**attempt, WAIT_S))
                continue
            kind = _Refused if status in (400, 422) and more else BackendFailed
            raise kind(f"{self._parts.hostname} answered {status}: {_said(raw)}")
        raise AssertionError("not reached")

    def _post(self, body: bytes, attempt: int) -> tuple[int, float | None, bytes]:
        """(status, seconds to wait where it says so, body); status 503 for a connection that may come back."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", f"{self._parts.path.rstrip('/')}/chat/completions", body, self._headers)
            answer = connection.getresponse()
            after = answer.getheader("Retry-After") or ""
            return answer.status, float(after) if after.isdecimal() else None, answer.read()
        except (OSError, http.client.HTTPException) as error:
            if attempt == TRIES:
                host = self._parts.hostname
                do = "check the address and the network"
                raise BackendFailed(f"{host} cannot be asked: {type(error).__name__}: {error}\n  do: {do}") from error
            return 503, None, b""
        finally:
            connection.close()


class _Refused(BackendFailed):
    """The server takes the request only without what was asked for besides."""


def _read(raw: bytes, host: str | None) -> Any:
    try:
        said = json.loads(raw)
        said["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise BackendFailed(f"{host} gave no chat completion: {raw[:200].decode(errors='replace')!r}") from error
    return said


def _text(said: Json) -> str:
    return str(said["choices"][0]["message"]["content"] or "")


def _steps(said: Json) -> tuple[tuple[Guess, ...], ...]:
    told = (said["choices"][0].get("logprobs") or {}).get("content") or []
    steps = []
    for token in told:
        listed = {str(g["token"]): float(g["logprob"]) for g in token.get("top_logprobs") or [token]}
        likeliest = sorted(listed.items(), key=lambda entry: -entry[1])
        steps.append(tuple(Guess(text=text, logprob=value) for text, value in likeliest if math.isfinite(value)))
    return tuple(steps) if all(steps) else ()


def _said(raw: bytes) -> str:
    """What the server says is wrong, on one line."""
    try:
        said = json.loads(raw)
        text = str(said["error"]["message"] if isinstance(said.get("error"), dict) else said)
    except (ValueError, LookupError, TypeError, AttributeError):
        text = raw.decode(errors="replace")
    return " ".join(text.split())[:200] or "nothing"
