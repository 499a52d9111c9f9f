"""``verify ADAPTER --base BASE``: does this adapter belong on this base?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from whence.lineage import find
from whence.models import Binding, Reason, base_tensors, bond_of, check_binding, hold, load_base, read_sidecar
from whence.models.identity import adapter_digests
from whence.models.tensors import combined, read_json
from whence.records import Adapter, Base, Closure, NotFound, Release, Unmet
from whence.register import known
from whence.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An adapter held against a base."""

    binding: Binding
    """the answer with its reasons"""
    adapter: Path
    """folder"""
    base: Path | None
    """folder; None: there is none on this machine"""
    weights: str | None
    """``b3:`` of the base; None: it is not whole"""
    by: str
    """what told of the base: the record in training, the record as declared, its sidecar …, nothing"""


def binding(adapter: str | Path, base: str | Path | None = None, store: Store | None = None) -> Checked:
    """Hold an adapter against a base. adapter: a PEFT folder, or with a store an adapter or release on record.

    base: a folder or hub id; None: the one on record, where it is on this machine, and nobody is asked for it. What the
    store says counts before the sidecar. Raises NotFound, Unmet where there is no such folder.
    """
    recorded = None
    if not Path(adapter).is_dir():
        if store is None:
            raise Unmet(f"there is no folder {adapter}", "a PEFT folder", "check the path; a name needs a store")
        if str(adapter).startswith((".", "/", "~")):
            raise Unmet(f"there is no folder {adapter}", "a PEFT folder, or a name on record", "check the path")
        recorded = _named(store, str(adapter))
    folder = Path(adapter) if recorded is None else store_place(store, recorded)
    with hold(folder) as held:
        try:
            digests = adapter_digests(held.path)
            bond = read_sidecar(held.path)
        except Unmet:
            digests, bond = None, None  # the check says what is wrong with the folder
        by = f"its sidecar, {bond.seen}" if bond and bond.base else "nothing"
        if store is not None and recorded is None and digests:
            found = known(store, *digests)
            recorded = found[1] if found else None
        if recorded is not None and store is not None:
            bond = bond_of(store, recorded)
            by = f"the record, {bond.seen}" if bond.base else "nothing"
        place = _base(base, store, recorded)
        if isinstance(place, str):
            answer = check_binding(held, None, bond)
            named = place or (bond.name if bond else None) or _named_base(held.path)
            where = f"its base is called {named}, which is not on this machine" if named else "nothing names its base"
            more = Reason(about="record", says=f"{where}: whence verify {adapter} --base PATH")
            answer = replace(answer, reasons=(*answer.reasons, more))
            return Checked(binding=answer, adapter=folder, base=None, weights=None, by=by)
        with hold(place) as held_base:
            answer = check_binding(held, held_base, bond)
            try:
                weights = combined(base_tensors(held_base.path))
            except Unmet:
                weights = None
            return Checked(binding=answer, adapter=folder, base=place, weights=weights, by=by)


def _named(store: Store, name: str) -> Adapter:
    record = store.get(str(find(store, name)))
    if isinstance(record, Release):
        record = store.get(record.adapter)
    if not isinstance(record, Adapter):
        raise NotFound(f"{name} is a {type(record).__name__}, expected a folder, an adapter or a release of one")
    return record


def store_place(store: Store | None, adapter: Adapter) -> Path:
    """Where an adapter on record lies."""
    assert store is not None
    return (store.root / adapter.location).resolve()


def _base(base: str | Path | None, store: Store | None, adapter: Adapter | None) -> Path | str:
    """The base's folder; where it is not on this machine what the record calls it, or nothing."""
    if base is not None:
        return load_base(str(base))
    closure = store.get(adapter.closure, Closure) if store is not None and adapter is not None else None
    if store is None or closure is None or closure.base is None:
        return ""
    record = store.get(closure.base, Base)
    try:
        return load_base(record.location, record.revision, store.root.parent, ask=False)
    except Unmet:
        return record.location


def _named_base(folder: Path) -> str | None:
    """What the adapter's configuration calls its base."""
    try:
        named = read_json(folder / "adapter_config.json").get("base_model_name_or_path")
    except Unmet:
        return None
    return named if isinstance(named, str) and named else None
