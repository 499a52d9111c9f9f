"""What a project's models are declared to be for, as the record keeps it."""

from __future__ import annotations

from datetime import datetime

from whence.records import Ref, Use
from whence.store import Store


def declare(store: Store, project: str, use: Use | None) -> None:
    """Record what this project's models are for, once until it changes; None: nothing is declared any more."""
    about, before = f"project:{project}", declared(store, project)
    if use is None:
        if before is not None:
            store.append("use.ended", about)
    elif before is None or before[1] != use:
        with store.transaction():
            store.append("use.declared", about, {"use": store.put(use)})


def declared(store: Store, project: str) -> tuple[Ref, Use] | None:
    """The use that stands for this project's snapshots, if one does."""
    last = store.events("use.*", about=f"project:{project}", last=True)
    if not last or last[0].kind == "use.ended":
        return None
    ref = Ref(last[0].data["use"])
    return ref, store.get(ref, Use)


def uses(store: Store, as_of: datetime | None = None) -> list[Use]:
    """Every use that stands, or stood at a time, of whichever project."""
    last = {event.about: event for event in store.events("use.*", as_of=as_of)}
    return [store.get(Ref(e.data["use"]), Use) for _, e in sorted(last.items()) if e.kind == "use.declared"]
