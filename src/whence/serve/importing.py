"""Answers that others gave and logged, kept as the gateway keeps its own: words in the journal, facts in the record.

The same answer is taken in once, whatever file it comes from. One that is there already and says something else is a
conflict and changes nothing. Words that were erased do not come back.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Literal

from whence.records import Deployment, Feedback, Json, NotFound, Ref, Trace, encode, text_time
from whence.records import parse_time as time_of
from whence.serve import langfuse_log, leases, openai_log, otel_log
from whence.serve.desk import Send
from whence.serve.exchange import Asked, Exchange, Left, Misfit, Piece, Record, Score, Unpack
from whence.serve.traces import TraceLog
from whence.store import Store
from whence.store.journal import Entry
from whence.store.nouns import trace_head

FORMATS = ("openai", "langfuse", "otel")
BATCH_TRACES, BATCH_BYTES = 1000, 16 << 20
"""Answers are recorded in batches of so many, or of so many bytes of words."""
FIRST = 20
"""As many parts that were left out are named by their line."""
NAMES = 50
"""As many models that mean no release are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerers:
    """Whose answers a log holds."""

    release: Ref | None
    """of answers whose log names no model"""
    models: Mapping[str, Ref]
    """the log's name of a model → release; a name that is not here is not guessed"""
    endpoint: str | None
    """where they were given; None: ``imported:FORMAT``"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A part of a log that was not taken in."""

    file: str
    """its name"""
    line: int
    """line, or element of a JSON array; counted from 1"""
    reason: str
    """a one-word code"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a log."""

    records: int
    """lines, or elements of a JSON array, that were read"""
    traces: int
    """answers taken in"""
    known: int
    """answers that were there already, the same"""
    feedback: int
    """reactions taken in"""
    feedback_known: int
    """reactions that were there already"""
    left: Mapping[str, int]
    """reason → parts that were not taken in"""
    first: tuple[LeftOut, ...]
    """the first of them"""
    models: Mapping[str, int]
    """names of models that mean no release → answers"""
    deployments: tuple[Ref, ...]
    """where the answers taken in were given"""

    @property
    def nothing(self) -> bool:
        """Whether nothing in the log could be read as an answer or a reaction."""
        return not (self.traces or self.known or self.feedback or self.feedback_known)


@dataclass(slots=True)
class _Waiting:
    """An answer that is not recorded yet."""

    trace: Trace
    words: Json
    spelled: bytes
    """the words as the journal spells them"""
    file: str
    line: int
    group: str | None


@dataclass(slots=True)
class _Counts:
    """What was seen so far."""

    seen: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    first: list[LeftOut] = field(default_factory=list)
    deployments: dict[Ref, None] = field(default_factory=dict)

    def leave(self, file: str, line: int, reason: str) -> None:
        """Count a part that is not taken in."""
        self.left[reason] += 1
        if len(self.first) < FIRST:
            self.first.append(LeftOut(file=file, line=line, reason=reason))


def read_record(record: Record, format: str, unpack: Unpack) -> Iterator[tuple[str, Piece]]:
    """(format, part) of what is in one record of a log; `format` may be ``auto``. A page of an API is its elements."""
    listed = record.get("data")
    if isinstance(listed, list) and ("object" in record or "meta" in record):
        for one in listed:
            yield from read_record(one if isinstance(one, dict) else {}, format, unpack)
        return
    if format == "auto":
        kinds = (("otel", otel_log.claims), ("langfuse", langfuse_log.claims), ("openai", openai_log.claims))
        format = next((name for name, claims in kinds if claims(record)), "")
    read = {"openai": openai_log.pieces, "langfuse": langfuse_log.pieces, "otel": otel_log.pieces}.get(format)
    try:
        for piece in read(record, unpack) if read else [Left("shape")]:
            yield format, piece
    except Misfit as error:
        yield format, Left(str(error))


class Intake:
    """One import under way. Needs the writer's lock; use as a context."""

    def __init__(
        self,
        store: Store,
        answerers: Answerers,
        *,
        consent: Literal["none", "train"],
        scale: tuple[float, float] | None,
        send: Send,
    ) -> None:
        """consent: of answers whose log does not forbid it. scale: the ends of the log's numeric scores; None: they are
        left out. Raises nothing; answers that a killed import had journalled are recorded first."""
        self._store, self._answerers, self._consent, self._scale, self._send = store, answerers, consent, scale, send
        self._log, self._counts = TraceLog(store), _Counts()
        self._waiting: dict[str, _Waiting] = {}
        self._bytes = 0
        self._groups: dict[str, str | None] = {}  # the larger thing → its answer; None where it has several
        self._deployments: dict[tuple[Ref, str], Ref] = {}
        self._asked: dict[str, tuple[int, int]] = {}  # name of a request → where its words lie in the spool

    def __enter__(self) -> Intake:
        self._store.recover_traces()
        self._requests = self._scratch(self._store.root)
        self._scores = self._scratch(self._store.root)
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.close()
        self._scores.close()

    @staticmethod
    def _scratch(folder: Path) -> IO[bytes]:
        """A file without a name, gone when this process is: what waits for a later line is not held in memory."""
        return tempfile.TemporaryFile(dir=folder)

    def leave(self, file: str, line: int, reason: str) -> None:
        """Count a record that cannot be read."""
        self._counts.seen["records"] += 1
        self._counts.leave(file, line, reason)

    def take(self, file: str, line: int, parts: Iterable[tuple[str, Piece]]) -> None:
        """Take in what one record holds."""
        self._counts.seen["records"] += 1
        for format, piece in parts:
            try:
                self._take(file, line, format, piece)
            except Misfit as error:
                self._counts.leave(file, line, str(error))

    def _take(self, file: str, line: int, format: str, piece: Piece) -> None:
        match piece:
            case Left():
                raise Misfit(piece.reason)
            case Asked():
                self._asked[piece.name] = _append(self._requests, piece.request)
            case Score():
                held = {"id": piece.id, "about": piece.about, "actor": piece.actor, "value": piece.value,
                        "raw": piece.raw, "text": piece.text, "at": piece.at and text_time(piece.at)}  # fmt: skip
                _append(self._scores, {"file": file, "line": line, "score": held})
            case Exchange():
                self._exchange(file, line, format, piece)

    def _exchange(self, file: str, line: int, format: str, exchange: Exchange) -> None:
        release = self._release(exchange.model)
        words: dict[str, Json] = {"messages": exchange.messages, **exchange.answer, "options": exchange.options}
        if exchange.asked is not None:
            if exchange.asked not in self._asked:
                raise Misfit("no_request")
            request = _read(self._requests, *self._asked[exchange.asked])
            words |= {"messages": request.pop("messages"), "options": request}
        spelled = _spelled(words)
        trace = Trace(
            id=exchange.id or self._nameless(exchange, spelled),
            deployment=self._deployment(release, f"imported:{format}", exchange.at),
            release=release,
            at=exchange.at,
            duration_s=exchange.duration_s,
            prompt_tokens=exchange.prompt_tokens,
            completion_tokens=exchange.completion_tokens,
            finish=exchange.finish,
            consent="none" if exchange.consent not in (None, "train") else self._consent,
            subject=self._store.keys.pseudonym(exchange.user) if exchange.user else None,
            content="",
        )
        if trace.id in self._waiting:
            self._settle()
        self._waiting[trace.id] = _Waiting(trace, words, spelled, file, line, exchange.group)
        self._bytes += len(spelled)
        if len(self._waiting) >= BATCH_TRACES or self._bytes > BATCH_BYTES:
            self._settle()

    def _release(self, model: str | None) -> Ref:
        """Who answered. Raises Misfit."""
        release = self._answerers.release if model is None else self._answerers.models.get(model)
        if release is None:
            if model is not None and (model in self._counts.models or len(self._counts.models) < NAMES):
                self._counts.models[model] += 1
            raise Misfit("unknown_model" if model else "no_model")
        return release

    def _nameless(self, exchange: Exchange, spelled: bytes) -> str:
        """A name for an answer that has none: a keyed digest, from which nobody can confirm a guessed text."""
        whole = text_time(exchange.at) + spelled.decode()
        return "imported-" + self._store.keys.pseudonym(whole).removeprefix("subject-")

    def _deployment(self, release: Ref, name: str, since: datetime) -> Ref:
        """Where it answered. One that a person ended stays ended; whether a log's still runs nobody knows."""
        endpoint = self._answerers.endpoint or name
        key = release, endpoint
        if key not in self._deployments:
            mine = [ref for ref, d in self._store.all(Deployment) if (d.release, d.endpoint) == key]
            self._deployments[key] = mine[-1] if mine else leases.start(self._store, release, endpoint, 0.0, since)
        return self._deployments[key]

    def _settle(self) -> None:
        """Record what waits, unless it is there."""
        there = self._store.named(Trace, self._waiting)
        places = self._store.places_of(trace.content for trace in there.values())
        for name, waiting in self._waiting.items():
            before = there.get(name)
            if before is None:
                self._log.keep(waiting.trace, waiting.words)
                self._counts.seen["traces"] += 1
                self._counts.deployments[waiting.trace.deployment] = None
            elif self._same(before, waiting, places.get(before.content)):
                self._counts.seen["known"] += 1
            else:
                self._counts.leave(waiting.file, waiting.line, "conflict")
                continue
            if waiting.group:
                several = self._groups.get(waiting.group, name) != name
                self._groups[waiting.group] = None if several else name
        self._log.flush()
        self._waiting.clear()
        self._bytes = 0

    def _same(self, before: Trace, waiting: _Waiting, place: tuple[str, Entry] | None) -> bool:
        """Whether an answer is there as it is read now; of words that were erased (no `place`) nothing is said."""
        if trace_head(before) != trace_head(waiting.trace):
            return False
        return place is None or encode(self._store.journal(place[0]).read(place[1])) == waiting.spelled

    # -- reactions ---------------------------------------------------------------------------------------------------

    def finish(self) -> Iterator[tuple[int, int]]:
        """Record what waits, then the reactions: (done, in all, in bytes) after each."""
        self._settle()
        whole, done = self._scores.tell(), 0
        self._scores.seek(0)
        for raw in self._scores:
            held = json.loads(raw)
            given = held["score"]
            score = Score(**given | {"about": tuple(given["about"]), "at": given.get("at") and time_of(given["at"])})
            try:
                self._counts.seen[self._react(score)] += 1
            except Misfit as error:
                self._counts.leave(held["file"], held["line"], str(error))
            done += len(raw)
            yield done, whole

    def _react(self, score: Score) -> str:
        """Record one reaction; returns what it counts as. Raises Misfit."""
        trace = self._about(score)
        value = score.value
        if score.raw is not None:
            if self._scale is None:
                raise Misfit("no_scale")
            low, high = self._scale
            if not low <= score.raw <= high:
                raise Misfit("scale")
            value = (score.raw - low) / (high - low) * 2 - 1
        intent = "comment" if value is None else "rating"
        name = f"score:{score.id}"
        before = self._store.events("score.imported", name, last=True)
        if before:
            was = self._store.get(before[0].data["feedback"], Feedback)
            if (was.trace, was.intent, was.value) != (trace, intent, value) or self._text(was) not in (
                None,
                score.text,
            ):
                raise Misfit("conflict")
            return "feedback_known"
        with self._store.transaction():
            made = self._send(
                self._store, trace, surface="import", actor=score.actor, intent=intent, value=value, text=score.text,
                at=score.at,
            )  # fmt: skip
            self._store.append("score.imported", name, {"feedback": made})
        return "feedback"

    def _text(self, feedback: Feedback) -> str | None:
        try:
            said: str | None = (self._store.words(feedback.content) or {}).get("text")
        except NotFound:
            return None
        return said

    def _about(self, score: Score) -> str:
        """The id of the answer that a reaction is about. Raises Misfit."""
        for name in score.about:
            if self._store.named(Trace, [name]):
                return name
            if name in self._groups:
                one = self._groups[name]
                if one is None:
                    raise Misfit("about_several")
                return one
        raise Misfit("unknown_trace")

    def report(self) -> Imported:
        """What became of it all."""
        seen = self._counts.seen
        return Imported(
            records=seen["records"],
            traces=seen["traces"],
            known=seen["known"],
            feedback=seen["feedback"],
            feedback_known=seen["feedback_known"],
            left=dict(self._counts.left.most_common()),
            first=tuple(self._counts.first),
            models=dict(self._counts.models.most_common()),
            deployments=tuple(self._counts.deployments),
        )


def _spelled(words: Json) -> bytes:
    """The words as the journal spells them. Raises Misfit for what it could not keep."""
    try:
        return encode(words)
    except (ValueError, TypeError, RecursionError):
        raise Misfit("value") from None


def _append(spool: IO[bytes], value: Json) -> tuple[int, int]:
    """Write one line; returns (where it begins, its length)."""
    line = _spelled(value) + b"\n"
    spool.seek(0, 2)
    start = spool.tell()
    spool.write(line)
    return start, len(line)


def _read(spool: IO[bytes], start: int, length: int) -> Json:
    spool.seek(start)
    return json.loads(spool.read(length))
