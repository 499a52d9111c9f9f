"""``rights`` and ``feedback``: what people allow, what they take back, and what they say to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence.govern import Owner
from whence.lineage import Scope, find
from whence.project import licence_fault
from whence.records import NotFound, Ownership, Ref, Source, Unmet, parse_time
from whence.verbs.ask import BlastRadius, blast_radius, one_scope, row_named
from whence.verbs.subjects import Called, Reviewable, Reviewed, decided, reviewable, said

if TYPE_CHECKING:
    from whence.verbs.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A right that was granted or withdrawn."""

    event: int
    """its number in the chain"""
    about: str
    """`subject:PSEUDONYM`, `source:NAME`, `licence:EXPRESSION` or `row:ID`"""
    blast: BlastRadius | None
    """what stands downstream; None: no row belongs to it"""


class Rights:
    """Rights to train on rows. Each verb is that of `whence rights`; each is a decision and needs a person as actor.

    Name one of subject (a person's identifier as in your data), source (a name), licence (an SPDX expression) and row
    (`SOURCE:RECORD`, or its id).
    valid_at: from when; None: now. reason: kept apart, erasable. Raises Unmet without a person.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def withdraw(
        self,
        *,
        subject: str | None = None,
        source: str | None = None,
        licence: str | None = None,
        row: str | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
    ) -> Changed:
        """The right to train on these rows ends; says what must come down."""
        return self._change("withdraw", one_scope(subject, source, licence, row), valid_at, reason)

    def grant(
        self,
        *,
        subject: str | None = None,
        source: str | None = None,
        licence: str | None = None,
        row: str | None = None,
        valid_at: datetime | str | None = None,
        reason: str | None = None,
    ) -> Changed:
        """The right to train on these rows is given (again)."""
        return self._change("grant", one_scope(subject, source, licence, row), valid_at, reason)

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
        return Called(subjects=kept.subjects, new=kept.new, weak=kept.weak, known=kept.known, found=found)

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

    def _change(
        self, what: Literal["grant", "withdraw"], given: tuple[str, str], at: datetime | str | None, reason: str | None
    ) -> Changed:
        from whence import govern

        kind, name = given
        valid_at = None if at is None else moment(at)
        if kind == "row":
            name = row_named(self._store, name)
        self._known(kind, name)
        self._store.person()
        if kind == "subject" and not name.startswith("subject-"):
            name = self._store.keys.pseudonym(name)
        scope = Scope(kind, name)  # type: ignore[arg-type]
        event = govern.change(self._store, scope.about, what, valid_at=valid_at, reason=reason)
        try:
            blast = blast_radius(self._store, scope)
        except NotFound:
            blast = None
        return Changed(event=event, about=scope.about, blast=blast)

    def _known(self, kind: str, name: str) -> None:
        """A name that was mistyped would end nobody's right. A person may be named before a row of theirs comes."""
        if kind in ("subject", "row") or name in self._store.index().sets[kind].names():
            return
        if kind == "licence":
            fault = licence_fault(name)
            if fault:
                raise Unmet(f"licence: {fault}", "an SPDX expression, or one that rows have", "look at its spelling")
        else:
            known = sorted({source.name for _, source in self._store.all(Source)})
            if name not in known:
                raise NotFound(f"no source is called {name!r}; read so far: {', '.join(known) or 'none'}")


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


def moment(at: datetime | str) -> datetime:
    """A time with its zone, from itself or from ISO 8601. Raises Unmet."""
    try:
        if isinstance(at, datetime) and at.tzinfo is None:
            raise ValueError(f"{at} has no time zone")
        return at if isinstance(at, datetime) else parse_time(at)
    except ValueError as error:
        raise Unmet(str(error), "an ISO 8601 time with its zone", "add the zone, such as Z") from error
