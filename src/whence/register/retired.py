"""Adapters that are taken out of use for good: their weights are deleted, and no release of them is served again."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from whence.records import Adapter, Ref, writing
from whence.store import Store


def retired(store: Store, adapter: Ref) -> str | None:
    """What an adapter was retired for, or None."""
    known: dict[str, str] = store.memo(
        "register.retired",
        lambda: {event.about: event.data["for"] for event in store.events("adapter.retired")},
        "adapter.retired",
    )
    return known.get(adapter)


def remains(store: Store, adapter: Ref) -> Path | None:
    """The folder of an adapter's weights, where it lies in the store and is still there."""
    folder = store.root / store.get(adapter, Adapter).location
    return folder if folder.resolve().is_relative_to(store.root) and folder.is_dir() else None


def retire(store: Store, adapter: Ref, why: str, stale: Iterable[Path] = ()) -> list[str]:
    """Take an adapter out of use and delete its weights, and checkpoints that hold the same influence; a person does.
    why: what it is done for. Returns what of it lies outside the store and is not ours to delete. Safe to kill: the
    event comes first, and a second call deletes what is left."""
    store.person()
    folder = store.root / store.get(adapter, Adapter).location
    if not retired(store, adapter):
        store.append("adapter.retired", adapter, {"for": why})
    for path in (folder, *stale):
        if path.resolve().is_relative_to(store.root) and path.is_dir():
            with writing(path):
                shutil.rmtree(path)
    return [] if folder.resolve().is_relative_to(store.root) or not folder.exists() else [str(folder)]
