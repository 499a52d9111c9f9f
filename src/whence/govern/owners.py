"""Who answers for a thing. `Ownership` says who does from when; ``owner.left`` says that somebody is gone.

Nobody is taken off anything when a person leaves: what they were accountable for stays recorded, and is found by
asking. Who is named again after the day on which they left is back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from whence.records import Ownership, Ref, Unmet
from whence.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who answers for a thing now."""

    about: str
    """digest or name that the ownership was recorded for"""
    accountable: str
    """person"""
    backup: str | None
    """the next one"""
    gone: datetime | None
    """when the accountable person left, or will"""
    backup_gone: datetime | None
    """when the backup left, or will"""

    def answers(self, at: datetime) -> str | None:
        """The person who answers at this time: the accountable one, else the backup, else nobody."""
        for person, gone in ((self.accountable, self.gone), (self.backup, self.backup_gone)):
            if person and (gone is None or gone > at):
                return person
        return None


def own(store: Store, about: str, accountable: str, backup: str | None = None, since: datetime | None = None) -> Ref:
    """Record who answers for a thing; a person decides it. Raises Unmet."""
    store.person()
    if not accountable.strip() or (backup is not None and not backup.strip()):
        raise Unmet("a person's name is empty", "a name or an address", "name one")
    if backup == accountable:
        raise Unmet(f"{backup} is to be their own backup", "two people", "name another backup, or none")
    return store.put(Ownership(about=about, accountable=accountable, backup=backup, since=since or store.clock()))


def leave(store: Store, person: str, at: datetime | None = None) -> list[Owner]:
    """Record that a person left, or will; returns what nobody answers for from then on. A person decides it. Raises
    Unmet for somebody whom no ownership names."""
    store.person()
    named = {p for _, o in store.all(Ownership) for p in (o.accountable, o.backup) if p}
    if person not in named:
        raise Unmet(
            f"nothing is owned by {person!r}",
            f"one of {', '.join(sorted(named)) or 'nobody yet'}",
            "look at its spelling",
        )
    when = at or store.clock()
    store.append("owner.left", person, None, when)
    return [one for one in owners(store, when).values() if person in (one.accountable, one.backup)
            and one.answers(when) is None]  # fmt: skip


def owners(store: Store, at: datetime | None = None) -> dict[str, Owner]:
    """Thing → who answers for it, as of a time (now by default); the newest ownership that holds by then counts."""
    now = at or store.clock()
    left: dict[str, datetime] = {}
    for event in store.events("owner.left"):
        left[event.about] = event.valid_at or event.recorded_at
    found: dict[str, Ownership] = {}
    for _, one in store.all(Ownership):
        if one.since <= now and (one.about not in found or found[one.about].since <= one.since):
            found[one.about] = one
    return {
        about: Owner(
            about=about,
            accountable=one.accountable,
            backup=one.backup,
            gone=_gone(left, one.accountable, one.since),
            backup_gone=_gone(left, one.backup, one.since),
        )
        for about, one in found.items()
    }


def _gone(left: dict[str, datetime], person: str | None, since: datetime) -> datetime | None:
    when = left.get(person) if person else None
    return when if when is not None and when >= since else None


def names_of(adapter: str, name: str, releases: Sequence[tuple[str, str]]) -> Iterable[str]:
    """What an ownership of this adapter may be recorded under, the nearest first: its digest, its releases by digest
    and by name, the releases' stem, its own name (a project's name is both)."""
    yield adapter
    for ref, label in reversed(releases):
        yield ref
        yield label
        yield label.rpartition("@")[0]
    yield name
