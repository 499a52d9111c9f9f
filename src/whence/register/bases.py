"""Bases: what a project file calls one, and what it really is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from whence.models import fingerprint, load_base
from whence.records import Base, Ref
from whence.store import Store


def register_base(
    store: Store,
    location: str,
    folder: Path,
    *,
    revision: str | None = None,
    licence: str | None = None,
    end_of_life: datetime | None = None,
) -> Ref:
    """Fingerprint a base and put it into the record. `location` is a hub id, or a path relative to `folder`. A base
    with other bytes is another record, whatever it is called."""
    path = base_path(location, folder, revision)
    base = Base(
        name=Path(location).name or location,
        location=location,
        fingerprint=fingerprint(path),
        revision=revision,
        licence=licence,
        end_of_life=end_of_life,
    )
    return store.put(base)


def base_path(location: str, folder: Path, revision: str | None = None) -> Path:
    """Where a base lies on this machine; a hub id is fetched. Raises Unmet, BackendFailed."""
    local = folder / Path(location).expanduser()
    return load_base(str(local) if local.is_dir() else location, revision)
