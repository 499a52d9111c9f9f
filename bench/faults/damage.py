"""Files of a store with a bit flipped, or cut short: the damage changes nothing that anybody reads, or `verify` names
it; and nothing makes `verify` itself fall over."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tarfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.faults.process import apart, finish, start, whence

KINDS = {
    "catalogue": ".whence/catalogue.db",
    "catalogue, log": ".whence/catalogue.db-wal",
    "catalogue, shared memory": ".whence/catalogue.db-shm",
    "head": ".whence/head",
    "rows, data": ".whence/rows.lance/data/*",
    "rows, manifest": ".whence/rows.lance/_versions/*",
    "rows, transactions": ".whence/rows.lance/_transactions/*",
    "index": ".whence/index/*/*.arrow",
    "index, manifest": ".whence/index/*/manifest.json",
    "blobs": ".whence/blobs/*/*",
    "journal": ".whence/journal/*/*.jsonl",
    "adapter": ".whence/runs/*/adapter/*",
    "store.json": ".whence/store.json",
    "writer's lock": ".whence/lock",
    "whence.lock": "whence.lock",
    "keys": "whence.key",
}
"""Kind of file → where it lies in the project."""
HEAD = "| damaged | bits flipped | named | harmless | cut short | named | harmless |\n| --- |" + " ---: |" * 6


@dataclass(slots=True)
class Tally:
    """What damage to one kind of file came to."""

    kind: str
    flips: int = 0
    flips_named: int = 0
    cuts: int = 0
    cuts_named: int = 0
    unnoticed: list[str] = field(default_factory=list)
    """what reads otherwise and nobody says so"""

    def row(self) -> str:
        named, cut = self.flips_named, self.cuts_named
        counts = f"{self.flips} | {named} | {self.flips - named} | {self.cuts} | {cut} | {self.cuts - cut}"
        return f"| {self.kind} | {counts} |" + (f" UNNOTICED: {len(self.unnoticed)}" if self.unnoticed else "")


def make(folder: Path, fixture: Path) -> None:
    """A project that holds every kind of file: an old store brought up to now, and a writer killed in it."""
    folder.mkdir()
    with tarfile.open(fixture) as packed:
        packed.extractall(folder, filter="data")
    out = folder.with_suffix(".out")
    code, said, _ = finish(folder, partial(whence, "data", "curate"), out)
    assert code == 0, said
    assert start(folder, _killed_in_its_log, out).wait() == -signal.SIGKILL, out.read_text()


def _store(folder: Path) -> Any:
    from whence.store import Store

    return Store.open(folder / ".whence", folder / "whence.key", actor="breaker@example.org")


def _killed_in_its_log() -> None:
    """A withdrawal in SQLite's log that no checkpoint has brought into the database."""
    from whence import govern
    from whence.project import read_lock, write_lock

    store = _store(Path())
    write_lock(Path(), store, read_lock(Path()))
    govern.change(store, "licence:CC0-1.0", "withdraw", reason="a letter")
    govern.change(store, "licence:CC0-1.0", "grant")
    os.kill(os.getpid(), signal.SIGKILL)


def reads(folder: Path) -> dict[str, Any]:
    """All that a reader can get out of a project's store."""
    from whence.project import read_lock
    from whence.records import Adapter, plain
    from whence.store.rows import SCHEMA

    store = _store(folder)
    adapters = [store.root / adapter.location for _, adapter in store.all(Adapter)]
    return {
        "records": sorted(store.bodies()),
        "events": [(plain(event), digest) for event, digest in store.chain()],
        "references": store.all_edges(),
        "rows": store.rows.table(SCHEMA.names, f"ord < {store.committed()}").sort_by("ord").to_pylist(),
        "index": {kind: list(sets.items()) for kind, sets in store.index().sets.items()},
        "words": {entry.digest: store.journal(kind).read(entry) for kind, entry in store.all_words()},
        "blobs": {name: store.blobs.get(name) for name in store.blobs.names()},
        "keys": {name: store.keys.find(name) for name in store.keys._keys},
        "adapters": {p: p.read_bytes() for folder in adapters for p in folder.iterdir() if p.suffix == ".safetensors"},
        "lock": {name: value for name, value in read_lock(folder).items() if name != "version"},
    }


def judged(folder: Path) -> str:
    """``whole``, or what is said about the damage."""
    import whence as product
    from whence.records import WhenceError

    try:
        with product.open(folder) as project:
            found = project.verify()
    except WhenceError as error:
        return f"{type(error).__name__}: {error}"
    return "; ".join(finding.message for finding in found) or "whole"


def damage(kind: str, whole: Path, work: Path, count: int, chance: random.Random) -> Tally:
    """`count` flips and half as many cuts of random files of this kind, each in a fresh copy."""
    tally, before, trial = Tally(kind), apart(partial(reads, _copy(whole, work / "before"))), work / "trial"
    names = [p.relative_to(whole) for p in sorted(whole.glob(KINDS[kind])) if p.stat().st_size]
    assert names, f"the store has no file of the kind {kind}"
    for number in range(count + count // 2):
        _copy(whole, trial)
        path = trial / chance.choice(names)
        data, cut = path.read_bytes(), number >= count
        at, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        path.write_bytes(data[:at] if cut else data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        said = apart(partial(judged, trial))
        named = said != "whole"
        if cut:
            tally.cuts, tally.cuts_named = tally.cuts + 1, tally.cuts_named + named
        else:
            tally.flips, tally.flips_named = tally.flips + 1, tally.flips_named + named
        if not named:
            after = apart(partial(reads, _placed(trial, work / "before")))
            wrong = [part for part in before if before[part] != after[part]]
            what = f"{path.relative_to(trial)} {'cut at' if cut else f'bit {bit} of'} byte {at} of {len(data)}"
            tally.unnoticed += [f"{what}: {', '.join(wrong)}"] if wrong else []
    return tally


def _copy(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def _placed(trial: Path, place: Path) -> Path:
    """The trial where the undamaged project was read: some of what is read holds paths."""
    shutil.rmtree(place)
    trial.rename(place)
    return place
