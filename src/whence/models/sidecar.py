"""What an adapter was bound to when it was trained: from the record, or from the sidecar that travels in its folder.

The sidecar is ``whence.json`` beside ``adapter_config.json``. It is in no digest, and PEFT passes over it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from whence.models.identity import adapter_digests, base_tensors, fingerprint
from whence.models.tensors import Tensor, combined
from whence.records import Adapter, Base, Closure, Fingerprint, Json, Unmet, encode, writing
from whence.store import Store

Seen = Literal["in training", "declared"]

FILE = "whence.json"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bond:
    """An adapter and the base that it was trained on."""

    weights: str
    """``b3:`` over the adapter's tensors"""
    config: str
    """digest of its configuration"""
    name: str | None = None
    """what its base was called"""
    base: Fingerprint | None = None
    """of its base; None: nobody has said"""
    seen: Seen = "declared"
    """who knows the base: the training saw it, or a person declared it afterwards"""
    tensors: Mapping[str, Tensor] | None = None
    """of its base, by name; None: only the fingerprint is known"""


@dataclass(frozen=True, kw_only=True)
class _File:
    """The sidecar as it is spelled."""

    whence: int
    adapter: Mapping[str, str]
    base: Mapping[str, str | None] | None = None
    name: str | None = None
    seen: Seen = "declared"
    tensors: Mapping[str, tuple[str, list[int], str]] | None = None


def bond_to(adapter: Path, base: Path, name: str | None = None, *, seen: Seen = "declared") -> Bond:
    """The bond of an adapter's folder and a base's as they are now. Raises Unmet for a folder that is not whole."""
    weights, config = adapter_digests(adapter)
    found = fingerprint(base)
    return Bond(weights=weights, config=config, name=name, base=found, seen=seen, tensors=base_tensors(base))


def write_sidecar(folder: Path, bond: Bond) -> None:
    """Put the sidecar into an adapter's folder, whole or not at all. Raises BackendFailed where none can be written."""
    said: dict[str, Json] = {
        "whence": VERSION,
        "adapter": {"weights": bond.weights, "config": bond.config},
        "name": bond.name,
        "base": asdict(bond.base) if bond.base else None,
        "seen": bond.seen,
        "tensors": listed(bond.tensors) if bond.tensors else None,
    }
    partial = folder / f".{FILE}.part"
    with writing(folder / FILE):
        partial.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        partial.replace(folder / FILE)


def read_sidecar(folder: Path) -> Bond | None:
    """The sidecar of an adapter's folder, or None. Raises Unmet for one that cannot be read or contradicts itself."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        said = TypeAdapter(_File).validate_json(path.read_bytes())
        if said.whence > VERSION:
            raise ValueError(f"it was written by a newer whence (format {said.whence})")
        base = Fingerprint(**said.base) if said.base else None  # type: ignore[arg-type]
        tensors = {name: unlisted(entry) for name, entry in said.tensors.items()} if said.tensors else None
        if tensors and base and combined(tensors) != base.weights:
            raise ValueError("its list of tensors is not the one that its fingerprint is over")
        weights, config = said.adapter["weights"], said.adapter["config"]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0][:200]
        raise Unmet(
            f"{path} cannot be read: {first}", "the sidecar as whence wrote it", "restore or remove it"
        ) from error
    return Bond(weights=weights, config=config, name=said.name, base=base, seen=said.seen, tensors=tensors)


def bond_of(store: Store, adapter: Adapter) -> Bond:
    """What the record knows of an adapter's base."""
    closure = store.get(adapter.closure, Closure)
    base = store.get(closure.base, Base) if closure.base else None
    bond = Bond(weights=adapter.weights, config=adapter.config, name=base.name if base else None)
    if base is None:
        return bond
    seen = adapter.base is not None
    told = replace(bond, base=adapter.base or base.fingerprint, seen="in training" if seen else "declared")
    if not base.tensors or base.fingerprint != told.base:
        return told
    return replace(told, tensors={n: unlisted(e) for n, e in json.loads(store.blobs.get(base.tensors)).items()})


def put_tensors(store: Store, tensors: Mapping[str, Tensor]) -> str:
    """Keep a base's tensors by name as a blob; its digest."""
    return store.blobs.put(encode(listed(tensors)))


def listed(tensors: Mapping[str, Tensor]) -> dict[str, Json]:
    """Tensors as JSON: name → [type, shape, digest in hex]."""
    return {name: [t.dtype, list(t.shape), t.content.hex()] for name, t in sorted(tensors.items())}


def unlisted(entry: Json) -> Tensor:
    """The inverse of `listed` for one tensor."""
    dtype, shape, content = entry
    return Tensor(str(dtype), tuple(shape), bytes.fromhex(content))
