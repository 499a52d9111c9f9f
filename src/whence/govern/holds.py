"""Legal holds and duties to keep: what must not be erased, until a person says otherwise or its day has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from whence.records import Event, Unmet
from whence.store import Store


def hold(store: Store, abouts: Sequence[str], until: datetime | None, reason: str) -> list[Event]:
    """These must be kept, for a reason, until a time or until `release`; a person says so. Raises Unmet."""
    store.person()
    if not reason.strip():
        raise Unmet("a hold has no reason", "what has to be kept, and for whom", "say --reason")
    words = store.write_words("payload", {"reason": reason})
    data = {"until": until.isoformat() if until else None}
    return store.append_many([("hold.placed", about, data, None, words) for about in abouts])


def release(store: Store, abouts: Sequence[str]) -> list[Event]:
    """These need not be kept any longer; a person says so. Raises Unmet for what is not held."""
    store.person()
    held = holds(store)
    for about in abouts:
        if about not in held:
            raise Unmet(f"{about} is not held", f"one of {', '.join(held) or 'none'}", "look at its name")
    return store.append_many([("hold.released", about, None, None, None) for about in abouts])


def holds(store: Store) -> dict[str, Event]:
    """What is held now → the event that says so."""
    found, now = dict[str, Event](), store.clock()
    for event in store.events("hold.*"):
        if event.kind == "hold.released":
            found.pop(event.about, None)
        else:
            found[event.about] = event
    return {
        about: event
        for about, event in found.items()
        if not (event.data or {}).get("until") or datetime.fromisoformat(event.data["until"]) > now
    }
