"""What happens to a request between the HTTP door and the model: who answers, for whom, with what kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol, cast

from whence.lineage import aliases
from whence.models import Reply, Request
from whence.records import BackendFailed, Conflict, NotFound, Ref, Release, Trace, Unmet, WhenceError
from whence.serve.engine import Engine, Job, Outcome
from whence.serve.protocol import Answer, ChatBody, FeedbackBody, to_request
from whence.serve.releases import Bound, Names, Policy
from whence.serve.traces import TraceLog
from whence.store import Store
from whence.store.keys import PSEUDONYMS
from whence.text import Likeness, wanted

Consent = Literal["none", "train"]
Arrive = Callable[[str | Reply | WhenceError], None]


class Send(Protocol):
    """How feedback is taken; `whence.feedback.send` is one such."""

    def __call__(
        self,
        store: Store,
        trace_id: str,
        *,
        surface: str,
        actor: str,
        intent: str,
        value: float | None = None,
        text: str | None = None,
        at: datetime | None = None,
    ) -> Ref:
        """Keep one reaction, given now or `at`; returns its digest. Raises NotFound, Unmet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a gateway serves."""

    host: str = "127.0.0.1"
    """address to listen on; one that others reach needs WHENCE_TOKEN"""
    port: int = 8000
    """0: any free one"""
    consent: Consent = "none"
    """what a request that says nothing may be used for"""
    lease_s: float = 60.0
    """seconds of silence after which a deployment is unknown"""
    max_tokens: int = 256
    """tokens of an answer where the request names no number"""
    unbound: Policy = "block"
    """what becomes of a release that is not bound to its base"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What a request says beside its body."""

    consent: str | None = None
    """as it was sent"""
    shadow: bool = False
    """nobody gets the answer"""


class Busy(Conflict):
    """There is no room for this request now; the same request may be taken in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A request that was taken in."""

    model: str
    """name it was asked under"""
    answer: Answer
    release: Ref
    job: Job

    def cancel(self) -> None:
        """The client has gone; stop when the next token comes."""
        self.job.cancelled = True


class Desk:
    """Takes requests in. Called from many threads."""

    def __init__(
        self,
        store: Store,
        served: Mapping[Ref, tuple[Bound, Ref]],
        engine: Engine,
        traces: TraceLog,
        settings: Settings,
        feedback: Send | None,
    ) -> None:
        """`served`: release → what was bound, and its Deployment."""
        self._store, self._served, self._engine, self._traces, self._settings = store, served, engine, traces, settings
        self._feedback = feedback
        self._names = Names(store)
        self._likeness: dict[tuple[Ref, ...], Likeness] = {}
        self.created = int(store.clock().timestamp())

    def alive(self) -> bool:
        """Whether answers can be given."""
        return self._engine.alive()

    def names(self) -> list[str]:
        """Names that can be asked for: releases that are served here, aliases that point to one."""
        pointing = [name for name, release in aliases(self._store).items() if release in self._served]
        return sorted(pointing) + sorted(bound.name for bound, _ in self._served.values())

    def at_hand(self, body: ChatBody) -> tuple[Ref, Release] | None:
        """What the request's model is, where all else that `ask` needs is in memory too: then it waits for nothing."""
        in_memory = body.user is None or PSEUDONYMS in self._store.keys
        return self._names.at_hand(body.model) if in_memory else None

    def ask(
        self,
        body: ChatBody,
        said: Headers,
        arrive: Arrive,
        model: tuple[Ref, Release] | None = None,
    ) -> Ticket:
        """Queue a request. `arrive` gets pieces of text, then a reply or an error, from another thread.

        model: what `at_hand` said; None: what the record says.
        Raises NotFound for an unknown model, Conflict for one that is not served here, whose files were changed since
        they were checked, or that is here for shadow traffic only, Busy when too many wait, Unmet for a consent that
        is none.
        """
        release, record = model or self._names.resolve(body.model)
        if release not in self._served:
            raise Conflict(
                f"{body.model} is {record.name}, which is not loaded here; loaded: "
                f"{', '.join(bound.name for bound, _ in self._served.values())}\n  do: restart the server to load it"
            )
        request = to_request(body, record.name, self._settings.max_tokens)
        release = self._routed(release, self._names.beside(body.model), request)
        bound, deployment = self._served[release]
        request = replace(request, adapter=bound.name)
        bound.check()
        if bound.shadow and not said.shadow:
            raise Conflict(
                f"{bound.name} answers shadow traffic only, because it is not bound to its base\n"
                f"  found: {bound.shadow}\n"
                f"  do: send x-whence-shadow: true where nobody gets the answer, or whence ship waive {bound.name}"
            )
        at = self._store.clock()
        trace = Trace(
            id=f"chatcmpl-{secrets.token_hex(16)}",
            deployment=deployment,
            release=release,
            at=at,
            duration_s=0.0,
            prompt_tokens=0,
            completion_tokens=0,
            finish="error",
            consent=self._consent(body, said.consent),
            subject=self._store.keys.pseudonym(body.user) if body.user else None,
            content="",
            shadow=said.shadow or None,
        )
        job = Job(request, arrive, self._ending(trace, request, arrive))
        if not self._engine.submit(job):
            raise Busy("too many requests are waiting\n  do: try again later")
        return Ticket(model=body.model, answer=_answer(trace, bound.name, at), release=release, job=job)

    def _routed(self, first: Ref, beside: Sequence[Ref], request: Request) -> Ref:
        """The one of them whose rows ask what the request asks most alike; those that are not loaded here are left
        out."""
        every = [first, *(ref for ref in beside if ref in self._served)]
        profiles = [bound.profile for bound, _ in map(self._served.__getitem__, every) if bound.profile]
        if len(every) == 1 or len(profiles) < len(every):
            return first
        like = self._likeness.get(tuple(every)) or self._likeness.setdefault(tuple(every), Likeness(profiles))
        return every[like.most(wanted(request.messages))]

    def react(self, body: FeedbackBody) -> Ref:
        """Keep a reaction to a trace. Raises NotFound, Unmet."""
        if self._feedback is None:
            raise NotFound("this server takes no feedback")
        self._traces.flush()
        return self._feedback(
            self._store,
            body.trace,
            surface="api",
            actor=body.actor,
            intent=body.intent,
            value=body.value,
            text=body.text,
        )

    def _consent(self, body: ChatBody, header: str | None) -> Consent:
        said = {c for c in ((body.metadata or {}).get("consent"), header) if c is not None} or {self._settings.consent}
        if len(said) > 1 or not said <= {"none", "train"}:
            raise Unmet(
                "the consent of this request is unclear",
                "none or train, the same in metadata.consent and x-whence-consent where both are given",
                "send one of them",
            )
        return cast(Consent, said.pop())

    def _ending(self, trace: Trace, request: Request, arrive: Arrive) -> Callable[[Outcome, str, float], None]:
        """Journal first, then tell the client: an answer that somebody has whole is in the record."""

        def end(outcome: Outcome, given: str, seconds: float) -> None:
            if isinstance(outcome, Unmet | NotFound):
                arrive(outcome)
                return
            reply = outcome
            if not isinstance(reply, Reply):
                reply = Reply(text=given, prompt_tokens=0, completion_tokens=0, finish="error")
            final: Reply | WhenceError = BackendFailed("the answer could not be recorded, so it is not given")
            try:
                self._traces.keep(_finished(trace, reply, seconds), _words(request, reply))
                final = outcome
            finally:
                arrive(final)

        return end


def _answer(trace: Trace, release: str, at: datetime) -> Answer:
    fingerprint = trace.release.removeprefix("sha256:")[:16]
    return Answer(id=trace.id, release=release, fingerprint=fingerprint, created=int(at.timestamp()))


def _finished(trace: Trace, reply: Reply, seconds: float) -> Trace:
    return replace(
        trace,
        duration_s=seconds,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        finish=reply.finish,
    )


def _words(request: Request, reply: Reply) -> dict[str, object]:
    """What the journal keeps of the exchange: the conversation, the answer, and what steered it."""
    asked = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop),
    }
    return {"messages": list(request.messages), "answer": reply.text, "options": asked}
