"""Nouns of data: where rows came from, whom they are about, what may be done with them, what was made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from whence.records.canonical import Json, Ref
from whence.records.noun import noun

SourceKind = Literal[
    "production_log", "human_annotation", "synthetic", "user_correction", "licensed", "scraped", "unknown"
]


@noun
class Source:
    """Where rows came from. Its name is its identity inside a store; a changed claim is a new record of that name."""

    name: str
    """what row ids and rights events call it"""
    kind: SourceKind
    """how the rows came to be"""
    location: str
    """path or URI as the project file declares it"""
    licence: str | None = None
    """SPDX expression or LicenseRef-… as claimed; absent: unspecified"""
    evidence: str | None = None
    """where the claim can be read"""
    consent_basis: str | None = None
    """why people's rows may be used: consent, contract, legitimate-interest, none-needed …"""
    collector: str | None = None
    """who collected it"""
    retrieved_at: datetime | None = None
    """when it was fetched"""
    purge_at: datetime | None = None
    """when what lies at its location is deleted"""
    part_of: str | None = None
    """the source that this is a split of"""
    republishes: str | None = None
    """the source or suite that this is a copy of"""


@noun
class Row:
    """One occurrence of a training item. Two customers who typed the same are two rows."""

    id: str
    """``b2k1:`` keyed over source, source record id and content digest"""
    ordinal: int
    """its dense number in this store"""
    source: str
    """the source's name"""
    record: str
    """the id it had in its source, or ``#k`` for the k-th occurrence of its content"""
    content: Json
    """shape and its members"""
    content_digest: str | None = None
    """``b2k1:`` keyed over the content; blank after an erasure"""
    subject: str | None = None
    """pseudonym"""
    licence: str | None = None
    """SPDX expression, from the row or its source"""
    slices: Mapping[str, str] = field(default_factory=dict)
    """field → value for per-slice numbers"""
    group: str | None = None
    """conversation or other unit that must not be split between training and tests"""
    parents: tuple[int, ...] = ()
    """ordinals of the rows that this was made from"""
    generator: str | None = None
    """model that wrote it: a name, or the digest of an adapter or release"""
    collected_at: datetime | None = None
    """when it came to be in its source; absent: the source says when it was fetched"""
    inspired_by: tuple[str, ...] = ()
    """``SUITE:ITEM`` of the evaluation items after which it was made"""


@noun
class Step:
    """One curation operation as it ran: every row that it did not keep has a reason."""

    name: str
    """registered name, such as exact_duplicate"""
    version: int
    """of the operation's code"""
    params: Json
    """its options, resolved"""
    seen: int
    """rows in"""
    kept: int
    """rows out"""
    reasons: Mapping[str, int]
    """reason code → rows not kept"""
    removed: str
    """blob: Arrow table (ordinal, reason, because) of every row not kept"""
    lowered: str | None = None
    """blob: Arrow table (ordinal, reason, because, jaccard, weight) of every row that is kept and fed less often"""
    lowers: int | None = None
    """how many"""


@noun
class Snapshot:
    """An immutable list of rows."""

    name: str
    """the project's name for it"""
    rows: int
    """how many"""
    root: str
    """Merkle root over the sorted row ids: ``tree64:`` (`ids_root`), ``sha256:`` in snapshots of version 0.1"""
    set: str
    """blob: the rows' ordinals as a roaring bitmap"""
    steps: tuple[Ref, ...]
    """the steps that made it, in order"""
    parents: tuple[Ref, ...] = ()
    """the ingest runs (or snapshots) that it was made from"""
    lowered: str | None = None
    """blob: Arrow table (ordinal, weight) of rows that are fed in that share of the epochs, on average, not in all"""


@noun
class Use:
    """What a project declares that its models are for."""

    name: str
    """the project's name"""
    commercial: bool
    """whether anybody earns by it"""
    distribute: Literal["none", "service", "weights"]
    """who gets what: nobody outside; answers; the weights themselves"""
    licence: str | None = None
    """SPDX expression under which the weights go out"""
    research: bool = False
    """whether it is academic research and nothing else"""
    competes: bool | None = None
    """whether the model competes with those whose models wrote rows; absent: not said"""
    generators: Mapping[str, str] = field(default_factory=dict)
    """model that wrote rows → the terms on what it writes, as claimed"""


@noun
class Claim:
    """What somebody says of a data set's licence."""

    name: str
    """``CLAIMANT:DATA SET``"""
    claimant: Literal["audit", "hugging_face", "github", "papers_with_code"]
    """who says it"""
    dataset: str
    """its id in the audit"""
    said: tuple[str, ...]
    """as said, word for word; empty: nothing is said"""
    licence: str | None
    """all of it as one SPDX expression; absent: a part of it is not known to the table"""
    urls: tuple[str, ...] = ()
    """where it can be read"""
    places: tuple[str, ...] = ()
    """where the data set lies: host and path, without the scheme"""
    generators: tuple[str, ...] = ()
    """models that wrote parts of it, as the audit names them"""
