"""Nouns of service: releases, deployments, traces, feedback, ownership, events."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from whence.records.canonical import Json, Ref
from whence.records.noun import noun


@noun
class Release:
    """A version that may be deployed."""

    name: str
    """``NAME@N``"""
    adapter: Ref
    """what answers"""
    verdict: Ref | None
    """why it may; absent: it was in service before anybody judged it"""
    waiver: Ref | None = None
    """the exception it stands on, where the verdict is no pass"""


@noun
class Deployment:
    """A lease of a release at an endpoint; it lives by ``deployment.seen`` events and is *unknown* when they stop."""

    release: Ref
    """what is served"""
    endpoint: str
    """address"""
    started_at: datetime
    """when"""
    lease_s: float | None
    """seconds after the last sign of life until its state is unknown; absent: somebody else runs it and gives none, it
    stands until somebody says that it ended"""


@noun
class Trace:
    """One served request with the exact release that answered; the words lie in the journal."""

    id: str
    """what the client got as the answer's id"""
    deployment: Ref
    """where"""
    release: Ref
    """who answered"""
    at: datetime
    """when it came in"""
    duration_s: float | None
    """until the last token; absent here and below: brought in from a log that does not say"""
    prompt_tokens: int | None
    """tokens in"""
    completion_tokens: int | None
    """tokens out"""
    finish: Literal["stop", "length", "cancelled", "error"] | None
    """why it ended"""
    consent: Literal["none", "train"]
    """what the person allowed this exchange to be used for"""
    subject: str | None
    """pseudonym of the person, where the caller named one"""
    content: str
    """salted digest of the journal entry"""
    shadow: bool | None = None
    """true: it was asked so that nobody gets the answer"""


@noun
class Feedback:
    """A typed reaction to a trace; its words lie in the journal."""

    trace: str
    """the trace's id"""
    surface: str
    """where it was given: api, cli …"""
    actor: str
    """who gave it: user, agent, reviewer …"""
    intent: Literal["rating", "correction", "flag", "comment"]
    """what kind"""
    value: float | None
    """−1 to 1 for a rating"""
    at: datetime
    """when"""
    content: str
    """salted digest of the journal entry (correction or comment)"""


@noun
class Ownership:
    """Who answers for a thing, and from when."""

    about: str
    """digest or name"""
    accountable: str
    """person"""
    backup: str | None
    """the next one"""
    since: datetime
    """from when"""


@noun
class Case:
    """A matter that ends with a proof: what it is about, and by when it must be done. What happened in it is events."""

    name: str
    """KIND-N, counted in the store"""
    kind: Literal["erasure", "takedown", "departure", "end-of-life"]
    """erasure: a person asks that their content goes; takedown: what was used may not be; departure: somebody left;
    end-of-life: a base can be had no more"""
    about: tuple[str, ...]
    """``subject:PSEUDONYM``, ``source:NAME``, ``licence:EXPRESSION``, ``row:ID``, ``rows:BLOB``, ``person:NAME`` or
    ``base:NAME``"""
    opened_at: datetime
    """when its clock started"""
    due_at: datetime
    """when it has to be done"""
    request: str | None = None
    """salted digest of what was asked for, in words"""


@noun
class Event:
    """One link of the store's hash chain."""

    seq: int
    """1, 2, 3 …"""
    kind: str
    """``rights.withdraw``, ``alias.moved`` …"""
    about: str
    """digest or name of the thing"""
    actor: str
    """who"""
    recorded_at: datetime
    """when we knew"""
    valid_at: datetime | None
    """when it holds in the world, where that differs"""
    data: Json
    """ids, digests, enums, numbers; never content"""
    payload: str | None
    """salted digest of words that lie apart and can be erased"""
    previous: str
    """digest of the event before, or of nothing"""
