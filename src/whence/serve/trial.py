"""A candidate behind the gateway's own door, before there is a release of it: the same protocol, queue and batches, but
nothing is recorded, and it is nobody's endpoint."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from whence.models import Model, Request
from whence.records import NotFound, Ref, Release, require
from whence.serve.backends.http import build_app, doors
from whence.serve.backends.server import Server, bound_socket, listen
from whence.serve.desk import Arrive, Busy, Headers, Ticket
from whence.serve.engine import Engine, Job, Outcome
from whence.serve.protocol import Answer, ChatBody, FeedbackBody, to_request
from whence.serve.watch import Watch

HOST = "127.0.0.1"
TOKENS = 256
"""of an answer where the request names no number"""


@contextmanager
def trial(model: Model, name: str) -> Iterator[str]:
    """The address, ``http://HOST:PORT/v1``, at which a model answers under one name until the block ends."""
    require("serve", "starlette", "uvicorn")
    with ExitStack() as running:
        sock = running.enter_context(bound_socket(HOST, 0))
        engine = Engine(model)
        running.callback(engine.stop)
        server = Server(Watch(build_app(doors(_Trial(engine, name), None, lambda: (b"", "text/plain"))), _nobody), sock)
        listen(sock)
        running.callback(server.stop)
        server.start()
        yield f"http://{HOST}:{sock.getsockname()[1]}/v1"


def defaults(name: str) -> Request:
    """What the gateway asks of a model for a client that names nothing but its question."""
    return to_request(ChatBody(model=name, messages=[]), name, TOKENS)


def _nobody(_: object) -> None:
    """Who is told of a call that ended."""


class _Trial:
    """A `Desk` with one model and no record."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name = engine, name
        self.created = int(time.time())

    def alive(self) -> bool:
        return self._engine.alive()

    def names(self) -> list[str]:
        return [self._name]

    def at_hand(self, body: ChatBody) -> tuple[Ref, Release] | None:
        return None

    def ask(self, body: ChatBody, said: Headers, arrive: Arrive, model: tuple[Ref, Release] | None = None) -> Ticket:
        if body.model != self._name:
            raise NotFound(f"{body.model} is not on trial here")

        def end(outcome: Outcome, given: str, seconds: float) -> None:
            arrive(outcome)

        job = Job(to_request(body, self._name, TOKENS), arrive, end)
        if not self._engine.submit(job):
            raise Busy("too many requests are waiting\n  do: try again later")
        answer = Answer(id=f"trial-{secrets.token_hex(8)}", release=self._name, fingerprint="", created=self.created)
        return Ticket(model=self._name, answer=answer, release=Ref(self._name), job=job)

    def react(self, body: FeedbackBody) -> Ref:
        raise NotFound("nothing is kept of a trial")
