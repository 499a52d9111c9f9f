"""A hosted model behind an OpenAI-compatible ``/v1/chat/completions``, by the standard library's client.

No redirect is followed, so that a key goes to the host that was named and nowhere else.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import get_args
from urllib.parse import SplitResult, urlsplit

from whence.models.port import Finish, Guess, OnText, Reply, Request, Scored
from whence.records import BackendFailed, Json, Unmet

TIMEOUT_S = 120
TRIES = 3
AT_ONCE = 8
"""Requests under way together."""
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which the same request may fare better."""
WAIT_S = 20.0
"""Longest wait between two tries."""
MOST_BYTES = 8 << 20
"""Of an answer; more than that is none."""
ROUNDED = 1e-3
"""Nats. Above 0 by so much a log-probability is one that was rounded."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OpenAIModel:
    """One hosted model. At most `AT_ONCE` requests are under way; a conversation's adapter is the model's own affair.

    url: up to and without ``/chat/completions``, such as ``https://api.example.org/v1``. key: name of the environment
    variable that holds the key; None: none is sent. known_as: names under which the server may answer; None: any.
    Raises Unmet for an address or key that cannot be used.
    """

    def __init__(self, url: str, model: str, key: str | None = None, known_as: Collection[str] | None = None) -> None:
        parts = _parts(url)
        token = os.environ.get(key) if key else None
        if key and not token:
            raise Unmet(f"the environment holds no {key}", "the key of the hosted model", f"export {key}=…")
        if token and not (token.isascii() and token.isprintable()):
            raise Unmet(f"{key} holds characters that no header takes", "the key alone, without a line end", "mend it")
        if token and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise Unmet(f"the key would go to {parts.hostname} unencrypted", "https", "name an https address")
        self._parts, self._model, self._token, self._tells = parts, model, token, True
        self._known_as = known_as
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """See the port; an answer comes whole. A request that is not answered, or by another model, ends in error.
        Raises BackendFailed where none is answered."""
        failures: list[BackendFailed] = []

        def one(numbered: tuple[int, Request]) -> Reply:
            try:
                return self._reply(*numbered, on_text)
            except BackendFailed as error:
                failures.append(error)
                why = str(error).splitlines()[0]
                return Reply(text="", prompt_tokens=0, completion_tokens=0, finish="error", reason=why)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            replies = list(pool.map(one, enumerate(requests)))
        if failures and len(failures) == len(requests):
            raise failures[0]
        return replies

    def _reply(self, number: int, request: Request, on_text: OnText | None) -> Reply:
        said = self._ask(request, {})
        with self._understood():
            text, usage = _text(said), said.get("usage") or {}
            counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
            finish = said["choices"][0].get("finish_reason")
            finish = finish if finish in get_args(Finish) else "stop"
            who = said.get("model")
        if self._known_as is not None and who not in self._known_as:
            named = repr(who)[:80] if who else "a model that it does not name"
            raise BackendFailed(f"{self._model} was asked and {named} answered")
        if on_text is not None and text and not on_text(number, text):
            finish = "cancelled"
        return Reply(text=text, prompt_tokens=counts[0], completion_tokens=counts[1], finish=finish)

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """See the port; without steps where the server tells none. Raises BackendFailed."""
        return [self._scored(request, top) for request in requests]

    def _scored(self, request: Request, top: int) -> Scored:
        said = None
        if self._tells:
            try:
                said = self._ask(request, {"logprobs": True, "top_logprobs": top})
            except _Refused:
                self._tells = False
        said = self._ask(request, {}) if said is None else said
        with self._understood():
            return Scored(text=_text(said), steps=_steps(said))

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
                with self._understood():
                    return json.loads(raw)
            if status in AGAIN and attempt < TRIES:
                time.sleep(min(after if after is not None else 2.0**attempt, WAIT_S))
                continue
            kind = _Refused if status in (400, 422) and more else BackendFailed
            raise kind(f"{self._parts.hostname} answered {status}: {_said(raw, self._token)}")
        raise AssertionError("not reached")

    def _post(self, body: bytes, attempt: int) -> tuple[int, float | None, bytes]:
        """(status, seconds to wait where it says so, body); status 503 for a connection that may come back."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", f"{self._parts.path.rstrip('/')}/chat/completions", body, self._headers)
            answer = connection.getresponse()
            after = answer.getheader("Retry-After") or ""
            raw = answer.read(MOST_BYTES + 1)
            if len(raw) > MOST_BYTES:
                raise BackendFailed(f"{self._parts.hostname} answered with more than {MOST_BYTES >> 20} MiB")
            if answer.length:
                raise http.client.IncompleteRead(raw, answer.length)
            return answer.status, float(after) if after.isdecimal() else None, raw
        except (OSError, http.client.HTTPException) as error:
            if attempt == TRIES:
                host = self._parts.hostname
                do = "check the address and the network"
                raise BackendFailed(f"{host} cannot be asked: {type(error).__name__}: {error}\n  do: {do}") from error
            return 503, None, b""
        finally:
            connection.close()

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Nothing that the server answers is more than a BackendFailed."""
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            what = f"{type(error).__name__}: {error}"[:200]
            raise BackendFailed(f"{self._parts.hostname} gave no chat completion that can be read: {what}") from error


class _Refused(BackendFailed):
    """The server takes the request only without what was asked for besides."""


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.query or parts.fragment or not url.isprintable():
        raise Unmet(
            "the address of the hosted model cannot be asked",
            "http(s)://HOST[:PORT][/PATH] without a name, a password or a query",
            "mend it",
        )
    return parts


def _text(said: Json) -> str:
    text = said["choices"][0]["message"]["content"]
    if not isinstance(text, str | None):
        raise TypeError(f"content is of the type {type(text).__name__}")
    return text or ""


def _steps(said: Json) -> tuple[tuple[Guess, ...], ...]:
    told = (said["choices"][0].get("logprobs") or {}).get("content") or []
    steps = []
    for token in told:
        listed = {str(g["token"]): float(g["logprob"]) for g in token.get("top_logprobs") or [token]}
        if any(value > ROUNDED for value in listed.values()):
            raise ValueError("a log-probability above 0")
        likeliest = sorted(listed.items(), key=lambda entry: -entry[1])
        steps.append(tuple(Guess(text=text, logprob=value) for text, value in likeliest if math.isfinite(value)))
    return tuple(steps) if all(steps) else ()


def _said(raw: bytes, token: str | None) -> str:
    """What the server says is wrong, on one line and without the key."""
    try:
        said = json.loads(raw)
        text = str(said["error"]["message"] if isinstance(said.get("error"), dict) else said)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        text = raw.decode(errors="replace")
    text = text.replace(token, "…") if token else text
    return " ".join(text.split())[:200] or "nothing"
