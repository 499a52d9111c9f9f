"""Bases: what a project file calls one, and what it really is."""

from __future__ import annotations

from pathlib import Path

from whence.models import fingerprint, load_base
from whence.records import Base, Ref
from whence.store import Store


def register_base(
    store: Store,
    location: str,
    *,
    revision: str | None = None,
    licence: str | None = None,
) -> Ref:
    """Fingerprint a base and put it into the record. `location` is a hub id, or a folder (see
    `models.load_base`). A base with other bytes is another record, whatever it is called."""
    path = load_base(location, revision, store.root.parent)
    base = Base(
        name=Path(location).name or location,
        location=location,
        fingerprint=fingerprint(path),
        revision=revision,
        licence=licence,
    )
    return store.put(base)
