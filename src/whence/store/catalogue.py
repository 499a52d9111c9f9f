"""The catalogue: `put` what is, `append` what happened. SQL is spoken here, in `database` and in `transactions`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from whence import records
from whence.records import Damaged, Event, Json, NotFound, Ref, canonical, encode, references, sha256, text_time
from whence.store import tables
from whence.store.head import HeadFile
from whence.store.journal import Entry
from whence.store.nouns import filing, known
from whence.store.transactions import Transactions

N = TypeVar("N")
NOTHING = "sha256:" + "0" * 64


class Catalogue(Transactions):
    """Records, references and events of one store."""

    def __init__(
        self, engine: sa.Engine, clock: Callable[[], datetime], actor: str, second: HeadFile | None = None
    ) -> None:
        """`second` keeps the chain's head once more, outside the database."""
        super().__init__(engine, second)
        self._clock, self._actor = clock, actor

    # -- records -----------------------------------------------------------------------------------------------------

    def put(self, noun: Any) -> Ref:
        """Store one noun; storing it again changes nothing. Returns its digest."""
        return self.put_many([noun])[0]

    def put_many(self, nouns: Iterable[Any]) -> list[Ref]:
        """Store nouns in order; every digest they refer to must be stored before them."""
        digests, rows, links = [], [], []
        for noun in nouns:
            body = canonical(noun)
            name = Ref(sha256(body))
            digests.append(name)
            kind, label = filing(noun)
            rows.append({"digest": name, "noun": kind, "name": label, "body": body.decode()})
            links += [{"src": name, "field": field, "dst": dst} for field, dst in references(noun)]
        with self.transaction() as connection:
            self._insert(connection, tables.records, rows)
            self._insert(connection, tables.edges, links)
        return digests

    def get(self, digest: str, kind: type[N] | None = None) -> N:
        """The record of this digest, checked against it. Raises NotFound or Damaged."""
        found = self._rows(sa.select(tables.records.c.body).where(tables.records.c.digest == digest))
        if not found:
            raise NotFound(f"{digest} is not in the record")
        body = found[0].body
        if sha256(body.encode()) != digest:
            raise Damaged(f"record {digest} was changed after it was written")
        noun: N = known(digest, body)
        if kind is not None and not isinstance(noun, kind):
            raise NotFound(f"{digest} is a {type(noun).__name__}, expected a {kind.__name__}")
        return noun

    def all(self, kind: type[N], name: str | None = None) -> list[tuple[Ref, N]]:
        """(digest, record) of every record of this kind (and name), oldest first."""
        t = tables.records
        query = sa.select(t.c.digest, t.c.body).where(t.c.noun == kind.__name__).order_by(t.c.n)
        if name is not None:
            query = query.where(t.c.name == name)
        return [(Ref(row.digest), known(row.digest, row.body)) for row in self._rows(query)]

    def fields(self, kind: type[Any], *names: str, after: int = 0) -> list[Any]:
        """(digest, value…) of every record of this kind that came after that many, oldest first: these of its fields,
        ``a.b`` for one inside another; unchecked. Lists are text in SQLite. Many times as fast as `all`.
        """
        t = tables.records
        columns = [_member(self._engine.dialect.name, name).label(f"f{i}") for i, name in enumerate(names)]
        query = sa.select(t.c.digest, *columns).where(t.c.noun == kind.__name__, t.c.n > after)
        return list(self._rows(query.order_by(t.c.n)))

    def arrived(self, *kinds: type[Any], until: int | None = None) -> list[int]:
        """[the number under which the last record came, how many there are of each of these kinds], up to a number."""
        c = tables.records.c
        last = until if until is not None else int(self._rows(sa.select(sa.func.max(c.n)))[0][0] or 0)
        query = sa.select(c.noun, sa.func.count()).where(c.noun.in_([k.__name__ for k in kinds]), c.n <= last)
        counts: dict[str, int] = dict(self._rows(query.group_by(c.noun)))  # type: ignore[arg-type]
        return [last, *(counts.get(kind.__name__, 0) for kind in kinds)]

    def mark(self, *kinds: str) -> tuple[int, int]:
        """(number of the last record, number of the last event, of these kinds where any are named): what changes
        whenever something is added."""
        asked = _MARK
        if kinds:
            events = sa.select(sa.func.max(tables.events.c.seq)).where(sa.or_(*map(_of_kind, kinds)))
            asked = sa.select(_LAST.label("last"), events.scalar_subquery().label("events"))
        row = self._rows(asked)[0]
        return int(row.last or 0), int(row.events or 0)

    def last_events(self, kind: str) -> dict[str, Event]:
        """About → the last event of this kind, which may end in ``.*``."""
        t = tables.events
        newest = sa.select(sa.func.max(t.c.seq)).where(_of_kind(kind)).group_by(t.c.about)
        return {row.about: _event(row) for row in self._rows(sa.select(t).where(t.c.seq.in_(newest)))}

    def count(self, kind: type[Any]) -> int:
        """How many records of this kind there are."""
        t = tables.records
        return int(self._rows(sa.select(sa.func.count()).select_from(t).where(t.c.noun == kind.__name__))[0][0])

    def latest(self, kind: type[N], name: str) -> tuple[Ref, N]:
        """The newest record of this kind and name. Raises NotFound."""
        found = self.all(kind, name)
        if not found:
            raise NotFound(f"no {kind.__name__.lower()} is called {name!r}")
        return found[-1]

    def named(self, kind: type[N], names: Iterable[str]) -> dict[str, N]:
        """Name → the newest record of this kind and name, for those of these names that have one."""
        wanted, found, t = list(names), {}, tables.records
        for start in range(0, len(wanted), 500):
            query = sa.select(t.c.digest, t.c.name, t.c.body).where(t.c.noun == kind.__name__).order_by(t.c.n)
            for row in self._rows(query.where(t.c.name.in_(wanted[start : start + 500]))):
                found[row.name] = known(row.digest, row.body)
        return found

    def bodies(self) -> Iterator[tuple[Ref, str]]:
        """(digest, body) of every record, oldest first, as stored and unchecked."""
        for row in self._rows(sa.select(tables.records.c.digest, tables.records.c.body).order_by(tables.records.c.n)):
            yield Ref(row.digest), row.body

    def filed(self) -> dict[str, tuple[str, str | None]]:
        """Digest → (kind, name) under which each record is found, unchecked."""
        c = tables.records.c
        return {row.digest: (row.noun, row.name) for row in self._rows(sa.select(c.digest, c.noun, c.name))}

    def search(self, text: str) -> list[tuple[Ref, str]]:
        """(digest, kind) of records whose digest starts with this text (with or without ``sha256:``) or whose name is
        it, oldest first."""
        t = tables.records
        hexes = text.removeprefix("sha256:")
        digits = len(hexes) >= 6 and set(hexes) <= set("0123456789abcdef")
        where = sa.or_(t.c.name == text, t.c.digest.like(f"sha256:{hexes}%")) if digits else t.c.name == text
        return [
            (Ref(r.digest), r.noun) for r in self._rows(sa.select(t.c.digest, t.c.noun).where(where).order_by(t.c.n))
        ]

    # -- references --------------------------------------------------------------------------------------------------

    def upstream(self, digests: Iterable[str]) -> list[tuple[Ref, str, Ref]]:
        """(from, field, to) of every reference that these records make."""
        return self._edges(tables.edges.c.src, digests)

    def downstream(self, digests: Iterable[str]) -> list[tuple[Ref, str, Ref]]:
        """(from, field, to) of every reference that is made to these records."""
        return self._edges(tables.edges.c.dst, digests)

    def _edges(self, column: sa.Column[str], digests: Iterable[str]) -> list[tuple[Ref, str, Ref]]:
        wanted, found = list(digests), []
        for start in range(0, len(wanted), 500):
            query = sa.select(tables.edges).where(column.in_(wanted[start : start + 500]))
            found += [(Ref(r.src), r.field, Ref(r.dst)) for r in self._rows(query)]
        return found

    def all_edges(self) -> set[tuple[str, str, str]]:
        """Every stored reference."""
        return {(r.src, r.field, r.dst) for r in self._rows(sa.select(tables.edges))}

    # -- events ------------------------------------------------------------------------------------------------------

    def append(
        self,
        kind: str,
        about: str,
        data: Mapping[str, Json] | None = None,
        valid_at: datetime | None = None,
        words: str | None = None,
    ) -> Event:
        """Add one link to the chain. `words` is the digest of a payload in the journal."""
        return self.append_many([(kind, about, data, valid_at, words)])[0]

    def append_many(
        self, happenings: Iterable[tuple[str, str, Mapping[str, Json] | None, datetime | None, str | None]]
    ) -> list[Event]:
        """Add links in order, all under one lock of the chain's head."""
        made: list[Event] = []
        with self.transaction() as connection:
            top = connection.execute(sa.select(tables.head).with_for_update()).one()
            seq, previous, rows = top.seq, top.digest, []
            for kind, about, data, valid_at, words in happenings:
                seq += 1
                event = Event(
                    seq=seq,
                    kind=kind,
                    about=about,
                    actor=self._actor,
                    recorded_at=self._clock(),
                    valid_at=valid_at,
                    data={k: v for k, v in (data or {}).items() if v is not None} or None,
                    payload=words,
                    previous=previous,
                )
                previous = sha256(canonical(event))
                made.append(event)
                rows.append(_event_row(event, previous))
            if rows:
                connection.execute(sa.insert(tables.events), rows)
                connection.execute(sa.update(tables.head).values(seq=seq, digest=previous))
                self._writing.head = (seq, previous)
        return made

    def events(
        self, kind: str | None = None, about: str | None = None, as_of: datetime | None = None, last: bool = False
    ) -> list[Event]:
        """Events in order; `kind` may end in ``.*``; `as_of` leaves out what was recorded later."""
        t = tables.events
        query = sa.select(t).order_by(t.c.seq)
        if kind is not None:
            query = query.where(_of_kind(kind))
        if about is not None:
            query = query.where(t.c.about == about)
        if as_of is not None:
            query = query.where(t.c.recorded_at <= text_time(as_of))
        if last:
            query = query.order_by(None).order_by(t.c.seq.desc()).limit(1)
        return [_event(row) for row in self._rows(query)]

    def recorded_since(self, seq: int) -> datetime:
        """The latest time at which this event or one after it was recorded. Raises NotFound where there is none."""
        t = tables.events
        latest = self._rows(sa.select(sa.func.max(t.c.recorded_at)).where(t.c.seq >= seq))[0][0]
        if latest is None:
            raise NotFound(f"there is no event {seq}")
        return records.parse_time(latest)

    def head(self) -> tuple[int, str]:
        """(number of events, digest of the last one)."""
        row = self._rows(sa.select(tables.head))[0]
        return row.seq, row.digest

    def chain(self) -> Iterator[tuple[Event, str]]:
        """(event, stored digest) in order, unchecked; no digest where the event is not spelled as it was written."""
        for row in self._rows(sa.select(tables.events).order_by(tables.events.c.seq)):
            event = _event(row)
            yield event, row.digest if dict(row._mapping) == _event_row(event, row.digest) else ""

    # -- where words lie ---------------------------------------------------------------------------------------------

    def note_words(self, kind: str, entries: Iterable[Entry]) -> None:
        """Remember where journal entries of this kind lie."""
        rows = [
            {"digest": e.digest, "kind": kind, "segment": e.segment, "offset": e.offset, "length": e.length}
            for e in entries
        ]
        with self.transaction() as connection:
            self._insert(connection, tables.contents, rows)

    def forget_words(self, digests: Sequence[str]) -> None:
        """Forget where these entries lie."""
        with self.transaction() as connection:
            for start in range(0, len(digests), 500):
                some = tables.contents.c.digest.in_(digests[start : start + 500])
                connection.execute(sa.delete(tables.contents).where(some))

    def words_at(self, digest: str) -> tuple[str, Entry]:
        """(kind, place) of an entry. Raises NotFound."""
        found = self._rows(sa.select(tables.contents).where(tables.contents.c.digest == digest))
        if not found:
            raise NotFound(f"no words are kept under {digest}")
        return _entry(found[0])

    def places_of(self, digests: Iterable[str]) -> dict[str, tuple[str, Entry]]:
        """Digest → (kind, place) of those of these entries that are kept."""
        wanted, t = list(digests), tables.contents
        found: dict[str, tuple[str, Entry]] = {}
        for start in range(0, len(wanted), 500):
            query = sa.select(t).where(t.c.digest.in_(wanted[start : start + 500]))
            found |= {row.digest: _entry(row) for row in self._rows(query)}
        return found

    def noted(self, digests: Iterable[str]) -> set[str]:
        """Those of these digests under which words are kept."""
        wanted, found, c = list(digests), set(), tables.contents.c
        for start in range(0, len(wanted), 500):
            query = sa.select(c.digest).where(c.digest.in_(wanted[start : start + 500]))
            found |= {row.digest for row in self._rows(query)}
        return found

    def noted_segments(self, kind: str) -> set[str]:
        """Journal segments of this kind in which noted entries lie."""
        c = tables.contents.c
        return {row.segment for row in self._rows(sa.select(c.segment).where(c.kind == kind).distinct())}

    def all_words(self) -> list[tuple[str, Entry]]:
        """(kind, place) of every noted entry, by kind, segment and offset."""
        t = tables.contents
        query = sa.select(t).order_by(t.c.kind, t.c.segment, t.c.offset)
        return [_entry(row) for row in self._rows(query)]


_LAST = sa.select(sa.func.max(tables.records.c.n)).scalar_subquery()
_MARK = sa.select(_LAST.label("last"), tables.head.c.seq.label("events"))


def _of_kind(kind: str) -> sa.ColumnElement[bool]:
    """Events of this kind; of all that begin so where it ends in ``.*``, as a range that the index serves."""
    c = tables.events.c.kind
    if not kind.endswith(".*"):
        return c == kind
    return sa.and_(c >= kind[:-1], c < kind[:-2] + "/")  # "/" comes after "."


def _entry(row: sa.Row[Any]) -> tuple[str, Entry]:
    return row.kind, Entry(row.digest, row.segment, row.offset, row.length)


def _member(dialect: str, name: str) -> sa.ColumnElement[Any]:
    """The SQL for a member of a record's body."""
    body = tables.records.c.body
    if dialect == "sqlite":
        return sa.func.json_extract(body, f"$.{name}")
    member: sa.ColumnElement[Any] = sa.cast(body, JSONB)[tuple(name.split("."))]
    return member


def _event_row(event: Event, digest: str) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "kind": event.kind,
        "about": event.about,
        "actor": event.actor,
        "recorded_at": text_time(event.recorded_at),
        "valid_at": text_time(event.valid_at) if event.valid_at else None,
        "data": encode(event.data).decode() if event.data else None,
        "payload": event.payload,
        "previous": event.previous,
        "digest": digest,
    }


def _event(row: sa.Row[Any]) -> Event:
    return Event(
        seq=row.seq,
        kind=row.kind,
        about=row.about,
        actor=row.actor,
        recorded_at=records.parse_time(row.recorded_at),
        valid_at=records.parse_time(row.valid_at) if row.valid_at else None,
        data=json.loads(row.data) if row.data else None,
        payload=row.payload,
        previous=row.previous,
    )
