"""Bases: what a project file calls one, and what it really is."""

from __future__ import annotations

import os
from pathlib import Path

from whence.models import base_tensors, fingerprint, load_base, put_tensors
from whence.records import Base, Ref
from whence.store import Store


def register_base(
    store: Store,
    location: str,
    *,
    folder: Path | None = None,
    revision: str | None = None,
    licence: str | None = None,
) -> Ref:
    """Fingerprint a base and put it into the record. `location` is a hub id, or a folder, looked for in `folder` (the
    one that the store lies in by default) and kept as it is found from there. A base with other bytes is another
    record, whatever it is called."""
    beside = store.root.parent
    if folder and folder != beside and not Path(location).is_absolute() and (folder / location).is_dir():
        location = os.path.relpath(folder / location, beside)
    path = load_base(location, revision, beside)
    base = Base(
        name=Path(location).name or location,
        location=location,
        fingerprint=fingerprint(path),
        revision=revision,
        licence=licence,
        tensors=put_tensors(store, base_tensors(path)),
    )
    return store.put(base)
