"""Are two runs of one closure the same to the bit, and under which conditions was each done?"""

from __future__ import annotations

from dataclasses import fields

from whence.models import PROFILE
from whence.records import Conditions, Json, Unmet
from whence.store import Store
from whence.train.job import Outcome, outcome


def compare(store: Store, run_a: str, run_b: str) -> dict[str, Json]:
    """What two finished runs have in common, as JSON.

    ``same_closure``, ``same_rows`` (both were fed the same), ``identical`` (the files of the adapter folders, byte for
    byte), ``conditions`` (those that agree), ``differing`` (condition → the two values), ``first_difference`` (step of
    the first checkpoint that differs, None where none does). Raises Unmet for an unfinished run, Damaged for an adapter
    that was changed.
    """
    a, b = _finished(store, run_a), _finished(store, run_b)
    agreeing, differing = conditions(a.report.conditions, b.report.conditions)
    steps_a, steps_b = a.report.facts["checkpoints"], b.report.facts["checkpoints"]
    common = sorted(steps_a.keys() & steps_b.keys(), key=int)
    return {
        "same_closure": a.adapter.closure == b.adapter.closure,
        "same_rows": a.report.set == b.report.set,
        "identical": _bytes(a) == _bytes(b),
        "conditions": agreeing,
        "differing": differing,
        "checkpoints_compared": len(common),
        "first_difference": next((int(step) for step in common if steps_a[step] != steps_b[step]), None),
    }


def _finished(store: Store, run: str) -> Outcome:
    found = outcome(store, run)
    if found is None:
        raise Unmet(f"run {run[:19]}… is not finished", "two finished runs", "train it first")
    return found


def _bytes(one: Outcome) -> tuple[bytes, ...]:
    """Of its files, the profile too where it has one."""
    names = ("adapter_model.safetensors", "adapter_config.json", *([PROFILE] if one.adapter.profile else []))
    return tuple((one.folder / name).read_bytes() for name in names)


def conditions(a: Conditions | None, b: Conditions | None) -> tuple[dict[str, Json], dict[str, Json]]:
    """(those that agree, those that differ → the two values)."""
    flat_a, flat_b = _flat(a), _flat(b)
    names = sorted(flat_a.keys() | flat_b.keys())
    agreeing = {name: flat_a[name] for name in names if flat_a.get(name) == flat_b.get(name)}
    return agreeing, {name: [flat_a.get(name), flat_b.get(name)] for name in names if name not in agreeing}


def _flat(conditions: Conditions | None) -> dict[str, Json]:
    if conditions is None:
        return {}
    named = {f.name: getattr(conditions, f.name) for f in fields(conditions) if f.name != "packages"}
    return named | dict(conditions.packages)
