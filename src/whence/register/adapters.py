"""Adapters that somebody else trained: what their folders say, and a copy of them that stays."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whence.models import Bond, Held, adapter_digests, read_sidecar
from whence.models.identity import PATHS
from whence.models.tensors import PICKLED, read_json, tensors, weight_files
from whence.records import Adapter, Json, Ref, Unmet, encode, writing
from whence.store import Store

PLACE = "adapters"
"""Folder of the store that keeps them."""
STATE = "trainer_state.json"
COUNTED = ("epoch", "global_step", "max_steps", "num_train_epochs", "train_batch_size", "best_metric", "total_flos")
"""Numbers of a trainer's state that are kept; its log of losses is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What an adapter's folder proves and claims."""

    weights: str
    """``b3:`` over its tensors"""
    config: str
    """digest of its configuration"""
    settings: Mapping[str, Json]
    """adapter_config.json"""
    tensors: int
    """how many"""
    bytes: int
    """of the weights"""
    bond: Bond | None
    """its sidecar"""
    state: Mapping[str, Json]
    """numbers of trainer_state.json; empty where there is none"""
    unread: tuple[str, ...]
    """pickled files in it, which are never opened"""


def read_folder(held: Held) -> Folder:
    """Read an adapter's folder whole. Raises Unmet where it is none, is not whole, or contradicts its sidecar."""
    path = held.path
    try:
        settings = read_json(path / "adapter_config.json")
        files = weight_files(path, "adapter_model")
        found = tensors(files)
        weights, config = adapter_digests(path)
        bond = read_sidecar(path)
    except Unmet as error:
        raise Unmet(error.found.replace(str(path), str(held.origin)), error.expected, error.do) from error
    if not found:
        raise Unmet(f"{held.origin} holds an adapter without tensors", "LoRA factors", "look at how it was saved")
    if bond and (bond.weights, bond.config) != (weights, config):
        raise Unmet(
            f"{held.origin} is not the adapter that its sidecar whence.json is about",
            f"weights {bond.weights[:15]}…, found {weights[:15]}…",
            "put the files back that belong together, or remove the sidecar and adopt what is there",
        )
    unread = sorted(entry.name for entry in held.origin.iterdir() if entry.suffix in PICKLED)
    return Folder(
        weights=weights,
        config=config,
        settings=settings,
        tensors=len(found),
        bytes=sum(file.stat().st_size for file in files),
        bond=bond,
        state=_state(path),
        unread=tuple(unread),
    )


def _state(path: Path) -> dict[str, Json]:
    try:
        state = read_json(path / STATE)
    except Unmet:
        return {}
    return {name: state[name] for name in COUNTED if isinstance(state.get(name), int | float)}


def plain_settings(settings: Mapping[str, Json]) -> dict[str, Json]:
    """adapter_config.json without paths and without what is off or empty."""
    return {k: v for k, v in settings.items() if k not in PATHS and v not in (None, False, [], {})}


def place_of(weights: str, config: str) -> str:
    """Where the store keeps an adapter, relative to its root."""
    return f"{PLACE}/{hashlib.sha256(encode([weights, config])).hexdigest()[:16]}"


def keep(store: Store, held: Held, folder: Folder) -> str:
    """Copy an adapter into the store, whole or not at all; its place there. Raises BackendFailed for a full disk."""
    place = place_of(folder.weights, folder.config)
    final = store.root / place
    if final.is_dir():
        return place
    partial = final.with_name(f".{final.name}.part")
    with store.writer(f"keep adapter {final.name}"), writing(final):
        for left in final.parent.glob(".*.part"):  # by one that was killed
            shutil.rmtree(left)
        try:
            partial.mkdir(parents=True)
            files = [*weight_files(held.path, "adapter_model"), held.path / "adapter_config.json"]
            index = held.path / "adapter_model.safetensors.index.json"
            for file in [*files, index] if index.is_file() else files:
                shutil.copyfile(file, partial / file.name)
                with (partial / file.name).open("rb") as copy:
                    os.fsync(copy.fileno())
            held.check()
            if not final.is_dir():  # otherwise another process was first, and its copy is as good
                partial.rename(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


def known(store: Store, weights: str, config: str) -> tuple[Ref, Adapter] | None:
    """The newest record of these very weights under this configuration."""
    return next(
        ((ref, a) for ref, a in reversed(store.all(Adapter)) if (a.weights, a.config) == (weights, config)), None
    )
