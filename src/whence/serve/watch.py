"""What is known of each request without its content, and who is told when it has ended: log, meters, spans."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from whence.models import Reply
from whence.serve.desk import Busy, Ticket
from whence.serve.log import tell

HELD_BYTES = 64 << 20
"""Bodies of all requests that run, together. Parsed, a body takes up to some twenty times its bytes."""
QUIET = ("health", "metrics")
"""Asked every few seconds; not logged where all is well."""
CLOSED = 499
"""Status of a request whose client went away before it had an answer."""

Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@dataclass(slots=True)
class Call:
    """One HTTP request: no content, nothing that its client chose but numbers and names that are ours."""

    route: str = "other"
    """health, metrics, models, feedback, chat; other: there is no such endpoint"""
    status: int = CLOSED
    """of the answer"""
    code: str | None = None
    """of a refusal or failure"""
    ticket: Ticket | None = None
    """of a chat request that was taken in"""
    stream: bool = False
    finish: str | None = None
    """why the answer ended"""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    traceparent: str | None = None
    """W3C trace context that the client sent"""
    started_at: int = field(default_factory=time.time_ns)
    """nanoseconds since 1970"""
    began: float = field(default_factory=time.perf_counter)
    """seconds, for the duration"""
    duration_s: float = 0.0
    """from the request's head to the last byte handed to the socket"""
    held: int = 0
    """bytes of its body"""

    @property
    def release(self) -> str | None:
        """``NAME@N`` of the release that was asked; None where none was found."""
        return self.ticket.answer.release if self.ticket else None

    @property
    def outside_s(self) -> float:
        """Seconds outside the model: parsing, waiting for a batch, recording, sending."""
        return max(0.0, self.duration_s - (self.ticket.job.model_s if self.ticket else 0.0))

    def answered(self, reply: Reply) -> None:
        """Take over what may be known of an answer."""
        self.finish = reply.finish
        self.prompt_tokens, self.completion_tokens = reply.prompt_tokens, reply.completion_tokens


class Watch:
    """Stands around the application. `ended` is called with each Call that is over."""

    def __init__(self, app: Asgi, ended: Callable[[Call], None]) -> None:
        self._app, self._ended = app, ended
        self.held = 0
        """bytes of bodies of requests that run"""

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        call = Call()
        scope["call"], scope["watch"] = call, self

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self.held -= call.held
            call.duration_s = time.perf_counter() - call.began
            _log(call)
            self._ended(call)

    def hold(self, call: Call, size: int) -> None:
        """Count bytes of a body until its request has ended. Raises Busy where there are too many."""
        call.held += size
        self.held += size
        if self.held > HELD_BYTES:
            raise Busy("the bodies of the running requests are too large together")


def _log(call: Call) -> None:
    event = _event(call)
    if call.route in QUIET and event == "request":
        return
    tell(
        event,
        logging.ERROR if event == "failed" else logging.INFO,
        route=call.route,
        status=call.status,
        code=call.code,
        trace=call.ticket.answer.id if call.ticket else None,
        release=call.release,
        finish=call.finish,
        prompt_tokens=call.prompt_tokens if call.finish else None,
        completion_tokens=call.completion_tokens if call.finish else None,
        duration_s=round(call.duration_s, 6),
        outside_model_s=round(call.outside_s, 6) if call.finish else None,
    )


def _event(call: Call) -> str:
    """request: answered; refused: it may not or not now; failed: it should have been answered; left: nobody waits."""
    if call.status == CLOSED or call.code == "cancelled":
        return "left"
    if call.status == 500 or (call.status < 400 and call.code):
        return "failed"
    return "refused" if call.status >= 400 else "request"
