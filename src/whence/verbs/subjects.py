"""What is known of a person, and what waits for a look: behind ``ask subject`` and ``rights review``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path

from whence import govern
from whence.lineage.walk import find, snapshots_with
from whence.records import Json, NotFound, Ref, Suite, Unmet
from whence.store import IDENTIFIERS, RowSet, Store, row_name
from whence.store.keys import PSEUDONYMS
from whence.text import Finder, folded

AROUND = 40
"""characters shown at each side of what may name somebody"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Rows that are about somebody, and what holds them."""

    subject: str
    """pseudonym"""
    state: str | None
    """granted, disputed or withdrawn; absent: nobody said anything"""
    identifiers: Mapping[str, int]
    """kind → how many are kept"""
    tagged: RowSet = field(repr=False)
    """ordinals of rows that carry their pseudonym"""
    named: RowSet = field(repr=False)
    """ordinals of rows that name them and do not carry it"""
    waiting: RowSet = field(repr=False)
    """ordinals of rows that may name them: whence rights review"""
    derived: RowSet = field(repr=False)
    """ordinals of rows made from tagged and named ones, at any depth"""
    snapshots: Mapping[Ref, int]
    """snapshot → how many of all these but the waiting it holds"""
    suites: Mapping[Ref, int]
    """suite → how many of its items are about them"""
    unsearched: int
    """rows that were not searched for everybody yet; the next ingest does"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """Identifiers that were kept, and what they were found in."""

    subjects: int
    """people of whom something new is kept"""
    new: int
    """identifiers that were not known of them"""
    weak: int
    """of the new ones, those whose matches wait for a person"""
    known: int
    """identifiers that were known already"""
    found: int
    """mentions that the search found"""
    unknown: tuple[str, ...]
    """pseudonyms of these people whom no row is about, and none may name"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewable:
    """A row that may name somebody."""

    subject: str
    """pseudonym"""
    row: str
    """id"""
    record: str
    """`SOURCE:RECORD`"""
    kinds: tuple[str, ...]
    """of the identifiers that it may hold"""
    why: tuple[str, ...]
    """weak: it may mean others; shared: several people have it; spread: it stands in rows about many others"""
    words: tuple[str, ...] = field(default=(), repr=False)
    """what stands around them, in lower case, where it was asked for: content"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A decision about rows that may name somebody."""

    event: int
    """its number in the chain"""
    subject: str
    """pseudonym"""
    rows: int
    """how many it is about"""


def person(store: Store, id: str, as_of: datetime | None) -> Person:
    """What is known of a person. Raises NotFound where nothing is."""
    subject = pseudonym(store, id)
    about = f"subject:{subject}"
    known = govern.Mentions(store, as_of)
    tagged, named = known.tagged(subject), known.named(subject)
    events = store.events("subject.identified", about, as_of=as_of)
    state = govern.states(store, as_of).get(about)
    if not (tagged or named or events or state):
        raise NotFound(f"nothing is known of {id!r}\n  expected: an identifier as in your data, or a pseudonym")
    identifiers: dict[str, int] = {}
    for event in events:
        for kind, count in event.data.items():
            identifiers[kind] = identifiers.get(kind, 0) + count
    theirs = tagged | named
    derived = known.until(store.index().descendants(theirs)) - theirs
    return Person(
        subject=subject,
        state=state,
        identifiers=identifiers,
        tagged=tagged,
        named=named,
        waiting=known.waiting(subject),
        derived=derived,
        snapshots=dict(snapshots_with(store, theirs | derived)),
        suites=_suites(store, subject),
        unsearched=govern.unsearched(store),
    )


def pseudonym(store: Store, id: str) -> str:
    """The pseudonym of a person, without making the key that pseudonyms need. Raises NotFound, Damaged."""
    if id.startswith("subject-"):
        return id
    store.keys.reload()
    if PSEUDONYMS not in store.keys and not len(store.index().sets["subject"]):
        raise NotFound(f"nothing is known of {id!r}: this store has no pseudonyms yet")
    return store.keys.pseudonym(id)


def in_no_row(store: Store, people: Sequence[str]) -> list[str]:
    """Those of these pseudonyms whom no row is about, and none may name."""
    if not people:
        return []
    known = govern.Mentions(store).people().union(store.index().sets["subject"].names())
    return [who for who in people if who not in known]


def _suites(store: Store, subject: str) -> dict[Ref, int]:
    """Suite → items whose group is this person."""
    from whence import evaluate

    known: dict[str, bool] = {}
    found = {}
    for ref, _ in store.all(Suite):
        count = 0
        for item in evaluate.items_of(store, ref):
            if item.group is not None:
                if item.group not in known:
                    known[item.group] = store.keys.pseudonym(item.group) == subject
                count += known[item.group]
        if count:
            found[ref] = count
    return found


def said(subject: str | None, values: Mapping[str, Sequence[str]], file: str | Path | None) -> list[govern.Identifier]:
    """The identifiers that were given, of one person or in a file. Raises Unmet."""
    if (subject is None) == (file is None):
        raise Unmet("neither or both of subject and file are given", "one of them", "name a person, or a file of many")
    if file is not None:
        if any(values.values()):
            raise Unmet("identifiers are given beside a file", "one of them", "put all of them into the file")
        return govern.read_identifiers(Path(file))
    assert subject is not None
    given = [govern.Identifier(subject=subject, kind=kind, value=v) for kind, held in values.items() for v in held]  # type: ignore[arg-type]
    if not given and subject.startswith("subject-"):
        raise Unmet("a pseudonym stands in no text", "an identifier of theirs", "name one, such as --email")
    return given or [govern.Identifier(subject=subject, kind="account", value=subject)]


def reviewable(store: Store, id: str | None, words: bool) -> list[Reviewable]:
    """Rows that wait for a person. words: with what stands around the matches. Raises NotFound, Damaged."""
    found = govern.waiting(store, pseudonym(store, id) if id else None)
    rows = {one.row: ("", "") for one in found}
    rows.update((ordinal, (name, record)) for ordinal, name, record in names(store, rows))
    around: dict[tuple[str, int], tuple[str, ...]] = dict(_around(store, found)) if words else {}
    return [
        Reviewable(
            subject=one.subject,
            row=rows[one.row][0],
            record=rows[one.row][1],
            kinds=one.kinds,
            why=one.why,
            words=around.get((one.subject, one.row), ()),
        )
        for one in found
    ]


def names(store: Store, rows: Iterable[int]) -> Iterator[tuple[int, str, str]]:
    """(ordinal, id, ``SOURCE:RECORD``) of rows."""
    for chunk in store.scan(["id", "source", "record"], RowSet(rows)):
        columns = (chunk[name].to_pylist() for name in ("ord", "id", "source", "record"))
        for ordinal, raw, source, record in zip(*columns, strict=True):
            yield ordinal, row_name(raw), f"{source}:{record}"


def _around(store: Store, found: Sequence[govern.Waiting]) -> Iterator[tuple[tuple[str, int], tuple[str, ...]]]:
    """(pseudonym, row) → what stands around the matches."""
    marks: dict[str, list[Json]] = {}
    for one in govern.kept(store):
        marks.setdefault(one.subject, []).append(one.mark)
    for subject, theirs in groupby(found, key=lambda one: one.subject):
        finder = Finder(store.keys.get(IDENTIFIERS), marks.get(subject, ()))
        for chunk in store.scan(["content"], RowSet([one.row for one in theirs])):
            for ordinal, content in zip(chunk["ord"].to_pylist(), chunk["content"].to_pylist(), strict=True):
                texts = list(folded(content)) if content else []
                places = [(text, start, end) for text in texts for _, start, end in finder.spans(text)]
                yield (
                    (subject, ordinal),
                    tuple(dict.fromkeys(text[max(start - AROUND, 0) : end + AROUND] for text, start, end in places)),
                )


def decided(store: Store, id: str, accept: bool, rows: Sequence[str]) -> Reviewed:
    """Record a decision. Raises Unmet, NotFound."""
    ordinals = []
    for text in rows:
        at = find(store, text)
        if not isinstance(at, int):
            raise NotFound(f"{text} names no row\n  expected: SOURCE:RECORD, or a row's id")
        ordinals.append(at)
    subject = pseudonym(store, id)
    event, chosen = govern.decide(store, subject, "accept" if accept else "refuse", ordinals or None)
    return Reviewed(event=event.seq, subject=subject, rows=len(chosen))
