"""A spool that `whence.hooks` left → rows, base, snapshot, recipe, closure, run, report and adapter.

Everything is named by what it holds, so an adoption that was killed is done again from its beginning and adds nothing
twice. The last step moves the folder to NAME.adopted and removes the rows' copies in it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from whence import register
from whence.lifecycle.fed import SpooledRows, spooled_rows
from whence.lifecycle.run import Told
from whence.lifecycle.spooled import CONTENT, Spool, read_spool
from whence.models import bond_of, hold
from whence.records import (
    Adapter,
    Base,
    Closure,
    Conditions,
    Conflict,
    Damaged,
    Fingerprint,
    ForeignRecipe,
    Json,
    NotFound,
    Ref,
    Run,
    RunReport,
    Snapshot,
    Unmet,
    writing,
)
from whence.records.chained import read_chained
from whence.register import Folder
from whence.store import Store

SPOOLS = "whence-spool"
DONE = ".adopted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """A run that came in from a spool."""

    folder: str
    """where the spool lies now"""
    run: Ref | None
    """the Run; None: it was left as it is"""
    adapter: Ref | None
    """the Adapter; None: the run left no weights of one"""
    fresh: bool
    """False: it had been brought in before"""
    lines: tuple[str, ...] = ()
    """what a person reads"""


def adopt_spools(store: Store, folder: Path, told: Told, *, as_is: bool = False) -> list[Spooled]:
    """Bring in every spool of a project's folder, oldest first. One that cannot come in is left and says why."""
    found = []
    lying = (path for place in (SPOOLS, f"*/{SPOOLS}") for path in folder.glob(f"{place}/*"))
    waiting = (path for path in lying if path.suffix != DONE and (path / "run.jsonl").is_file())
    for path in sorted(waiting, key=lambda path: path.name):
        try:
            found.append(adopt_spool(store, path, told, as_is=as_is))
        except (Unmet, Conflict, Damaged) as error:
            found.append(Spooled(folder=str(path), run=None, adapter=None, fresh=False, lines=(str(error),)))
    return found


def adopt_spool(store: Store, folder: Path, told: Told, *, as_is: bool = False) -> Spooled:
    """Bring one spool in. as_is: also one whose training did not finish, with its newest checkpoint.

    Raises NotFound, Damaged for a spool that was changed, Conflict while its training still runs, Unmet for one that
    did not finish.
    """
    done = folder if folder.suffix == DONE else folder.with_name(folder.name + DONE)
    if done.exists() and (done == folder or not folder.exists()):
        return _again(store, done)
    with _held(folder):
        spool = read_spool(folder)
        _ready(spool, as_is)
        run = _recorded(store, spool.head)
        made = _bring(store, spool, told) if run is None else None
        with writing(folder):
            folder.rename(done)
    found = _again(store, done)
    return replace(found, fresh=made is not None, lines=made or found.lines)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock that the training holds while it lives. Raises Conflict, NotFound."""
    if not (folder / "run.jsonl").is_file():
        read_spool(folder)
    with (folder / "run.jsonl").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{folder} is being written: its training still runs\n  do: wait for its end") from None
        yield


def _ready(spool: Spool, as_is: bool) -> None:
    if not spool.finished and not as_is:
        step = spool.last.get("step", 0)
        raise Unmet(
            f"the training of {spool.folder} did not finish: it was last saved after step {step}",
            "a training that came to its end",
            "resume it from its checkpoint, or bring it in as it is: --as-is",
        )


def _recorded(store: Store, head: str) -> Ref | None:
    """The finished run of this spool."""
    for ref, run in store.all(Run):
        if run.inputs.get("spool") == head and store.events("run.finished", about=ref):
            return ref
    return None


def _again(store: Store, done: Path) -> Spooled:
    """What became of a spool that was brought in; whatever copy of its rows is left is removed."""
    for name in CONTENT:
        (done / name).unlink(missing_ok=True)
    run = _recorded(store, read_chained(done / "run.jsonl")[-1]["chain"])
    if run is None:
        raise NotFound(f"{done} was brought into another store than {store.root}\n  do: name the project that has it")
    adapter = store.events("run.finished", about=run, last=True)[0].data.get("adapter")
    line = f"run {run[7:19]} is in the record"
    return Spooled(folder=str(done), run=run, adapter=Ref(adapter) if adapter else None, fresh=False, lines=(line,))


# -- into the record ---------------------------------------------------------------------------------------------------


def _bring(store: Store, spool: Spool, told: Told) -> tuple[str, ...]:
    begin, seen = spool.begin, spool.seen
    rows = spooled_rows(store, spool, told)
    set_blob = store.put_set(rows.all)
    environment = store.put_lines(seen["installed"]) if seen else None
    found = _weights(store, spool)
    with store.transaction():
        base = store.put(_base(begin, seen)) if begin.get("base") or seen.get("base") else None
        snapshot = store.put(
            Snapshot(
                name=begin["name"],
                rows=len(rows.all),
                root=store.root_of(rows.all),
                set=set_blob,
                steps=(),
                parents=tuple(rows.ingests),
            )
        )
        recipe = store.put(ForeignRecipe(trainer=begin["trainer"], arguments=begin["arguments"], lora=begin["lora"]))
        closure = store.put(
            Closure(
                base=base,
                snapshot=snapshot,
                recipe=recipe,
                code_commit=seen.get("commit"),
                code_clean=seen.get("clean"),
                environment=environment,
            )
        )
        used = tuple(ref for ref in (base, snapshot, recipe) if ref)
        run = store.put(Run(activity="train", used=used, inputs={"spool": spool.head}))
        store.put(_report(store, spool, run, rows))
        made = {"closure": closure}
        if found:
            made["adapter"] = store.put(_adapter(spool, closure, run, found))
        store.append("run.finished", run, made)
    notes = _bound(store, spool, made.get("adapter"))
    return (*rows.lines, *_said(spool, rows, found, made.get("adapter")), *notes)


def _bound(store: Store, spool: Spool, adapter: Ref | None) -> list[str]:
    """Leave the sidecar where the adapter was saved; what could not be done."""
    place = _saved(spool)
    if adapter is None or place is None:
        return []
    record = store.get(adapter, Adapter)
    return register.leave_sidecar(store, record, place, bond_of(store, record))


def _base(begin: Json, seen: Json) -> Base:
    found = seen.get("base")
    return Base(
        name=Path(begin["base"]).name,
        location=begin["base"],
        fingerprint=Fingerprint(**found) if found else None,
        revision=begin.get("revision"),
    )


def _report(store: Store, spool: Spool, run: Ref, rows: SpooledRows) -> RunReport:
    last, begin, seen = spool.last, spool.begin, spool.seen
    base = seen.get("base") or {}
    facts = {
        "finished": spool.finished,
        "resumed_from": spool.resumed,
        "steps": last.get("step", 0),
        "steps_planned": last.get("steps_planned"),
        "epochs": last.get("epochs"),
        "losses": last.get("losses"),
        "processes": begin["processes"],
        "base_seen": bool(base),
        "template_used": begin["template"],
        "template_is_the_bases": base["template"] == begin["template"] if base else None,
        "vocabulary": begin.get("vocabulary"),
    }
    return RunReport(
        run=run,
        started_at=datetime.fromisoformat(begin["started_at"]),
        duration_s=last.get("duration_s", 0.0),
        cpu_s=last.get("cpu_s", 0.0),
        conditions=Conditions(**seen["conditions"]) if seen else None,
        facts=facts | rows.facts,
        set=None if rows.fed is None else store.put_set(rows.fed),
    )


def _adapter(spool: Spool, closure: Ref, run: Ref, found: tuple[Folder, str]) -> Adapter:
    folder, location = found
    base = spool.seen.get("base")
    return Adapter(
        name=spool.begin["name"],
        closure=closure,
        run=run,
        weights=folder.weights,
        config=folder.config,
        base=Fingerprint(**base) if base else None,
        location=location,
        bytes=folder.bytes,
    )


def _saved(spool: Spool) -> Path | None:
    """Where the training left its adapter: the spool's own, else the checkpoint that was saved last."""
    places = [spool.folder / "adapter", Path(spool.last.get("folder") or spool.folder / "adapter")]
    return next((place for place in places if (place / "adapter_config.json").is_file()), None)


def _weights(store: Store, spool: Spool) -> tuple[Folder, str] | None:
    """(the adapter's folder as read, its place in the store), copied there; None where there is none."""
    place = _saved(spool)
    if place is None:
        return None
    with hold(place) as held:
        folder = register.read_folder(held)
        return folder, register.keep(store, held, folder)


# -- words -------------------------------------------------------------------------------------------------------------


def _said(spool: Spool, rows: SpooledRows, found: tuple[Folder, str] | None, adapter: str | None) -> Iterator[str]:
    """What a person reads of a run."""
    fed, last, facts = rows.fed, spool.last, rows.facts
    how = (
        f"{len(fed):,} of {len(rows.all):,} rows fed"
        if fed is not None
        else f"at most these {len(rows.all):,} rows fed"
    )
    more = "".join(
        f", {facts[name]:,} {words}"
        for name, words in (("rows_cut", "cut"), ("rows_decoded", "read back from tokens"))
        if facts.get(name)
    )
    yield f"{how}{more}; {last.get('step', 0):,} steps" + ("" if spool.finished else ", not finished")
    if not spool.seen.get("base"):
        yield f"the base was not seen: {spool.seen.get('base_absent') or 'nobody looked'}"
    if found and adapter:
        yield f"adapter {adapter[7:19]}, weights {found[0].weights[:15]}…"
    else:
        yield "no adapter: the run trained a whole model, or its weights lie in parts; adopt the saved folder"
