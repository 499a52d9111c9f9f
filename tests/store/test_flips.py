"""A flipped byte in any file of a store, at random places: it changes nothing that anybody reads, or it is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from full import everything

from whence.records import WhenceError
from whence.store import Store, verify

FLIPS = {"rows, transactions": 8, "marker": 15, "index, manifest": 15}
MANY = 40
KINDS = {
    "catalogue": "catalogue.db",
    "rows, data": "rows.lance/data/*",
    "rows, manifest": "rows.lance/_versions/*",
    "rows, transactions": "rows.lance/_transactions/*",
    "index": "index/*/*.arrow",
    "index, manifest": "index/*/manifest.json",
    "blobs": "blobs/*/*",
    "journal": "journal/*/*.jsonl",
    "marker": "store.json",
    "keys": "../whence.key",
}


def settled(store: Store) -> None:
    """Everything that is committed lies in catalogue.db itself."""
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store._engine.dispose()


def outcome(root: Path) -> tuple[str, Store | None]:
    """``whole``, or what is said about the damage, and the store where it opened."""
    try:
        store = Store.open(root)
        found = verify(store)
    except WhenceError as error:
        return f"{type(error).__name__}: {error}", None
    return "; ".join(f.message for f in found) or "whole", store


@pytest.mark.fault
@pytest.mark.sqlite
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_harmless_or_named(full: Store, kind: str) -> None:
    settled(full)
    before = everything(Store.open(full.root))
    files = [p for p in sorted(full.root.glob(KINDS[kind])) if p.stat().st_size]
    assert files
    chance, harmless = random.Random(kind), 0
    flips = FLIPS.get(kind, MANY)
    for turn in range(flips):
        path = files[turn % len(files)]
        data = path.read_bytes()
        at, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        said, store = outcome(full.root)
        if said == "whole":
            assert store
            assert everything(store) == before, f"{path} byte {at} bit {bit}: wrong and nobody said so"
            harmless += 1
        if store:
            store._engine.dispose()
        for leftover in ("catalogue.db-wal", "catalogue.db-shm"):
            (full.root / leftover).unlink(missing_ok=True)
        path.write_bytes(data)
    print(f"{kind}: {flips} flips, {flips - harmless} named, {harmless} harmless")
    assert outcome(full.root)[0] == "whole"
