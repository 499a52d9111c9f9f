"""``rights`` and ``feedback``: what people allow, what they take back, and what they say to an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from whence.govern import Book, Owner, Told, What
from whence.govern.rights import Use
from whence.lifecycle.blast import BlastRadius, blast_radius
from whence.lineage import find
from whence.records import Ownership, Ref, Unmet, sha256
from whence.verbs.scopes import Names, licence_of, moment, scopes
from whence.verbs.subjects import Called, Reviewable, Reviewed, decided, in_no_row, reviewable, said

if TYPE_CHECKING:
    from whence.lifecycle.watch import Watched
    from whence.verbs.cases import Cases
    from whence.verbs.session import Session


Given = tuple[Names, Names, Names, Names, str | Path | None]
"""People, sources, licences, rows, and a file of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Rights that changed."""

    events: tuple[int, ...]
    """their numbers in the chain"""
    about: tuple[str, ...]
    """`subject:PSEUDONYM`, `source:NAME`, `licence:EXPRESSION`, `row:ID` or `rows:BLOB`, one for each event"""
    unknown: tuple[str, ...]
    """of these, people whom no row is about, and licences that no row has: it bites when rows come"""
    lines: tuple[int, ...] = field(default=(), repr=False)
    """where they came from a file: the line of each event"""
    contradicted: tuple[int, ...]
    """earlier events that say otherwise of the same time; the stricter holds"""
    outranked: tuple[tuple[int, int], ...]
    """(event, the one that holds instead): it says less than one of the same time, or one holds from later on"""
    begins: datetime | None
    """when it begins to hold, where that is to come"""
    blast: BlastRadius | None
    """what stands downstream of what may not be used any more; None: nothing was taken away"""


class Rights:
    """Rights to use rows. Each verb is that of `whence rights`; each is a decision and needs a person as actor, except
    that anybody may see a licence change.

    Name people (subject: identifiers as in your data), sources (names), licences (SPDX expressions), rows
    (`SOURCE:RECORD`, or ids; or in `rows` a file with one a line); several make an event each, all or none.
    valid_at: from when; None: now. use: `train` or `evaluate`; None: every use. reason, said_by: kept apart, erasable.
    evidence: a file that shows it; its digest is recorded. Raises Unmet without a person.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def grant(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        to: str | None = None,
        use: Use | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
        said_by: str | None = None,
        evidence: str | Path | None = None,
    ) -> Changed:
        """The right to use these rows is given (again). to: a licence that from now on counts alone, whatever they came
        under: the decision that clears an older duty."""
        named = (subject, source, licence, row, rows)
        return self._tell("grant", named, valid_at, reason, said_by, evidence, use=use, licence=to)

    def change(
        self,
        *,
        to: str | None = None,
        all_rows: bool = False,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
        said_by: str | None = None,
        evidence: str | Path | None = None,
    ) -> Changed:
        """The licence of these rows changed. What it had been goes on counting until a `grant` says otherwise.

        to: an SPDX expression; None: nobody knows, which blocks. all_rows: it covers rows that were collected before,
        too; otherwise those are for a person to decide (review).
        """
        named = (None, source, licence, row, rows)
        reach = "all" if all_rows else "new"
        return self._tell("change", named, valid_at, reason, said_by, evidence, licence=to, reach=reach)

    def dispute(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        use: Use | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
        said_by: str | None = None,
        evidence: str | Path | None = None,
    ) -> Changed:
        """Somebody contests the right to these rows, or a withdrawal of it: they are not trained on until it is
        settled."""
        named = (subject, source, licence, row, rows)
        return self._tell("dispute", named, valid_at, reason, said_by, evidence, use=use)

    def withdraw(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        use: Use | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
        said_by: str | None = None,
        evidence: str | Path | None = None,
    ) -> Changed:
        """The right to use these rows ends; says what must come down."""
        named = (subject, source, licence, row, rows)
        return self._tell("withdraw", named, valid_at, reason, said_by, evidence, use=use)

    def reinstate(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        use: Use | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
        said_by: str | None = None,
        evidence: str | Path | None = None,
    ) -> Changed:
        """A withdrawal or dispute of the right to these rows is lifted. Raises Unmet where there was none."""
        named = (subject, source, licence, row, rows)
        return self._tell("reinstate", named, valid_at, reason, said_by, evidence, use=use)

    def record(self, file: str | Path) -> Changed:
        """Changes of rights from a file of JSON lines, all or none: each names `what` (grant, change, dispute,
        withdraw, reinstate), one of `subject`, `source`, `licence`, `row`, `rows`, and as above `valid_at`, `use`,
        `to`, `all_rows`, `reason`, `said_by`, `evidence`. Raises Unmet with every line that is none."""
        from whence.verbs.many import changes_in

        told = changes_in(self._store, Path(file), self._ended, _digest, self._session.told)
        return self._record(list(told.values()), tuple(told))

    def watch(self, *, fetch: bool = False) -> tuple[Watched, ...]:
        """Whether the terms of each source are still those that were seen last; a change is recorded, and its rows are
        then for a person to decide. fetch: look at addresses, too."""
        from whence.govern.detect import detect
        from whence.lifecycle.watch import watch

        def licence_in(text: str) -> str | None:
            found = detect(text)
            return found.id if found else None

        told = self._session.told
        progress = lambda *done: told.progress("watch", *done)  # noqa: E731
        return tuple(watch(self._store, self._session.folder, fetch, progress, licence_in))

    def own(
        self, thing: str, *, accountable: str, backup: str | None = None, since: datetime | str | None = None
    ) -> Ref:
        """Somebody answers for a thing from now on, or from `since`; returns the Ownership's digest.

        thing: a project's name, an adapter, a release or an alias; a name stands for all that is called so.
        backup: who takes over. Raises NotFound for what the record does not know, Unmet without a person as actor.
        """
        from whence import govern

        when = None if since is None else moment(since)
        return govern.own(self._store, self._thing(thing), accountable, backup, when)

    def left(self, person: str, *, at: datetime | str | None = None) -> tuple[Owner, ...]:
        """A person left, or will `at` a time; returns what nobody answers for from then on. Nothing is passed on by
        itself. Raises Unmet for somebody who owns nothing."""
        from whence import govern

        return tuple(govern.leave(self._store, person, None if at is None else moment(at)))

    def identify(
        self,
        subject: str | None = None,
        *,
        name: Sequence[str] = (),
        email: Sequence[str] = (),
        account: Sequence[str] = (),
        order: Sequence[str] = (),
        phone: Sequence[str] = (),
        other: Sequence[str] = (),
        file: str | Path | None = None,
    ) -> Called:
        """What a person is called in texts; all rows are searched for it, those to come as they come.

        subject: as in your data, which is an identifier too, or a pseudonym. file: of JSON lines `{"subject", "kind",
        "value"}` instead, for many people; all of it is kept or nothing. Only keyed digests are kept. Raises Unmet with
        every fault, or without a person as actor.
        """
        from whence import govern

        values = {"name": name, "email": email, "account": account, "order": order, "phone": phone, "other": other}
        told = self._session.told.progress
        asked = said(subject, values, file)
        kept = govern.identify(self._store, asked, lambda done, all_: told("identify", "digests", done, all_))
        found = govern.search(self._store, lambda done, all_: told("identify", "rows searched", done, all_))
        people = [govern.pseudonym_of(self._store, name) for name in dict.fromkeys(one.subject for one in asked)]
        unknown = tuple(in_no_row(self._store, people))
        return Called(
            subjects=kept.subjects, new=kept.new, weak=kept.weak, known=kept.known, found=found, unknown=unknown
        )

    def review(
        self,
        subject: str | None = None,
        *,
        row: Sequence[str] = (),
        accept: bool = False,
        refuse: bool = False,
        words: bool = False,
    ) -> list[Reviewable] | Reviewed:
        """Rows that may name somebody, and wait for a person: the match is weak, or several people have it. With accept
        or refuse: these rows name the subject, or do not.

        subject: only theirs. row: ids or `SOURCE:RECORD`; none: all that wait for the subject. words: with what stands
        around the matches, which is content. Raises Unmet for rows that do not hold what the subject is called, and
        for a decision without a person as actor.
        """
        if not (accept or refuse):
            if row:
                raise Unmet("rows are named without a decision", "accept or refuse", "give one of them")
            return reviewable(self._store, subject, words)
        if accept and refuse:
            raise Unmet("both accept and refuse are given", "one of them", "leave one out")
        if subject is None:
            raise Unmet("nobody is named whom the rows are about", "a subject", "name one")
        return decided(self._store, subject, accept, row)

    def hold(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
        until: datetime | str | None = None,
        reason: str,
    ) -> tuple[int, ...]:
        """These rows must be kept, as a court or a law wants it: an erasure of them waits for a person. until: the day
        on which the duty ends. Returns the events' numbers."""
        from whence import govern

        when = None if until is None else moment(until)
        named = self._named(subject, source, licence, row, rows)
        return tuple(event.seq for event in govern.hold(self._store, named, when, reason))

    def release(
        self,
        *,
        subject: Names = None,
        source: Names = None,
        licence: Names = None,
        row: Names = None,
        rows: str | Path | None = None,
    ) -> tuple[int, ...]:
        """A hold of these rows ends. Returns the events' numbers. Raises Unmet for what is not held."""
        from whence import govern

        named = self._named(subject, source, licence, row, rows)
        return tuple(event.seq for event in govern.release(self._store, named))

    @property
    def case(self) -> Cases:
        """Matters that end with a proof: erasures, takedowns, departures, ends of life."""
        from whence.verbs.cases import Cases

        return Cases(self._session)

    def _thing(self, name: str) -> str:
        """A name as it stands, or the digest that its first digits mean. Raises NotFound, Conflict."""
        store = self._store
        known = {o.about for _, o in store.all(Ownership)}
        if name in known or store.events("alias.moved", about=f"alias:{name}", last=True):
            return name
        found = store.search(name)
        if any(getattr(store.get(ref), "name", None) == name for ref, _ in found[:1]):
            return name
        return str(find(store, name))

    def _tell(
        self,
        what: What,
        given: Given,
        valid_at: datetime | str | None,
        reason: str | None,
        said_by: str | None,
        evidence: str | Path | None,
        **more: Any,
    ) -> Changed:
        when = None if valid_at is None else moment(valid_at)
        if more.get("licence") is not None:
            licence_of(more["licence"])
        shown = None if evidence is None else _digest(Path(evidence))
        lifted = dict.fromkeys(self._named(*given), when)
        if what == "reinstate":
            lifted = {about: self._lifted(about, when) for about in lifted}
        return self._record(
            [
                Told(
                    what=what,
                    about=about,
                    valid_at=at,
                    reason=reason,
                    said_by=said_by,
                    evidence=shown,
                    **more,
                )
                for about, at in lifted.items()
            ]
        )

    def _named(self, subject: Names, source: Names, licence: Names, row: Names, rows: str | Path | None) -> list[str]:
        """What rights events call these. Raises Unmet where nothing is named."""
        named = scopes(self._store, subject=subject, source=source, licence=licence, row=row, rows=rows, new=True)
        if not named:
            raise Unmet("nothing is named", "a person, source, licence or row", "say whose right it is")
        return [f"{kind}:{name}" for kind, name in named]

    def _ended(self, about: str, at: datetime | None = None) -> bool:
        """Whether the right to a thing is withdrawn or disputed, for any use, at a time; now, where none is named."""
        held = [Book.of(self._store).standing(about, use, at) for use in get_args(Use)]
        return any(one is not None and one.state != "granted" for one in held)

    def _lifted(self, about: str, when: datetime | None) -> datetime | None:
        """From when a reinstatement holds: as told, or from when the withdrawal would that is to come. Raises Unmet
        where there is nothing to lift."""
        if self._ended(about, when):
            return when
        if when is None and (ends := Book.of(self._store).to_end().get(about)):
            return ends
        raise Unmet(f"{about} is neither withdrawn nor disputed", "one that is", "look at its name")

    def _record(self, told: Sequence[Told], lines: tuple[int, ...] = ()) -> Changed:
        from whence import govern

        events = govern.tell(self._store, told)
        about, now = tuple(one.about for one in told), self._store.clock()
        ended = [one for one in told if one.what in ("withdraw", "dispute", "change")]
        later = [one.valid_at for one in ended if one.valid_at is not None and one.valid_at > now]
        asked = [(kind, name) for kind, _, name in (one.about.partition(":") for one in ended)]
        progress = partial(self._session.told.progress, "blast radius", "models")
        blast = blast_radius(self._store, asked, what_if=bool(later), progress=progress) if ended else None
        contradicted, outranked = self._ranked(told[:LOOKED_AT], [event.seq for event in events])
        return Changed(
            events=tuple(event.seq for event in events),
            about=about,
            lines=lines,
            unknown=tuple(self._unknown(about)),
            contradicted=contradicted,
            outranked=outranked,
            begins=min(later, default=None),
            blast=blast if blast is not None and blast.rows + len(blast.suites) else None,
        )

    def _unknown(self, abouts: Sequence[str]) -> Iterator[str]:
        """Those of these people and licences that no row is about or has."""
        from whence import govern

        sets, named = self._store.index().sets, {about.partition(":")[0] for about in abouts}
        held = {kind: set(sets[kind].names()) for kind in ("subject", "licence") if kind in named}
        for about in abouts:
            kind, _, name = about.partition(":")
            if kind in held and name not in held[kind] and not govern.rows_of(self._store, kind, [name]):
                yield about

    def _ranked(
        self, told: Sequence[Told], events: Sequence[int]
    ) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        """(events that these contradict, those of these that do not hold with what holds instead)."""
        book, now = Book.of(self._store), self._store.clock()
        against, outranked = set[int](), []
        for one, seq in zip(told, events, strict=False):
            use = one.use or "train"
            standing = book.standing(one.about, use, one.valid_at if one.valid_at and one.valid_at > now else None)
            if standing is None or one.what == "change":
                continue
            against.update(set(standing.contradicted) - {seq})
            if standing.event != seq:
                outranked.append((seq, standing.event))
        return tuple(sorted(against)), tuple(outranked)


LOOKED_AT = 1000
"""As many events are compared with what was recorded before."""


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes())
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file that shows it", "name one") from error


class Reactions:
    """Reactions to served answers. Each verb is that of `whence feedback`."""

    def __init__(self, session: Session) -> None:
        self._store = session.store

    def send(
        self,
        trace: str,
        *,
        intent: str = "rating",
        value: float | None = None,
        text: str | None = None,
        actor: str = "user",
        surface: str = "python",
    ) -> Ref:
        """Record a typed reaction to a served answer; returns the Feedback's digest.

        trace: the answer's id. intent: rating (with `value` from −1 to 1), correction or comment (with `text`), flag.
        actor: the kind of giver, such as user or reviewer. surface: where it was given. Raises NotFound, Unmet.
        """
        from whence import feedback

        return feedback.send(self._store, trace, surface=surface, actor=actor, intent=intent, value=value, text=text)
