"""An adapter made again, at the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from whence.cli.session import short, wrapped

if TYPE_CHECKING:
    from whence.lifecycle.rebuild import Rebuilt, Replayed
    from whence.train import Replay, Stale

CODES = {"pass": 0, "fail": 2, "abstain": 4, "unproven": 2, "incomparable": 4}
"""Outcome → exit code; 0 for all others."""
SHOWN = ("device", "cpu", "cpu_capability", "threads", "torch")
"""Conditions that are shown where they agree."""


def code(made: Rebuilt | Replayed) -> int:
    """The exit code."""
    return CODES.get(made.outcome, 0)


def value(made: Rebuilt | Replayed) -> dict[str, Any]:
    """For programs."""
    found = {"outcome": made.outcome, **asdict(made)}
    if "plan" in found:
        found["plan"]["from_step"] = made.plan.from_step
    return found


def text(made: Rebuilt | Replayed) -> str:
    """For people."""
    from whence.lifecycle.rebuild import Rebuilt

    lines = _compared(made) if isinstance(made, Rebuilt) else _replayed(made)
    return "\n".join(wrapped(line, 0) for line in lines)


def _compared(made: Rebuilt) -> Iterator[str]:
    from whence.lifecycle.lines import room_line

    n = made.checkpoints_compared
    if made.outcome == "pass":
        yield f"the same bytes; {n} checkpoints compared"
    else:
        yield f"other bytes{_since(made)}; {n} checkpoints compared"
    if not made.same_rows:
        yield "other rows were fed: some were erased since"
    shown = ", ".join(f"{name} {made.conditions[name]}" for name in SHOWN if name in made.conditions)
    yield f"conditions: {shown}; differing: {differing(made.differing) or 'none'}"
    if made.outcome == "abstain":
        yield "equal bytes are promised under equal conditions only, so this shows neither that they are nor are not"
    yield room_line(made.room)


def _since(made: Rebuilt) -> str:
    return "" if made.first_difference is None else f", from the checkpoint of step {made.first_difference} on"


def differing(conditions: Mapping[str, Any]) -> str:
    """threads 1 → 2, …"""
    return ", ".join(f"{name} {a} → {b}" for name, (a, b) in conditions.items())


def _replayed(made: Replayed) -> Iterator[str]:
    from whence.lifecycle.lines import room_line

    plan = made.plan
    if made.outcome == "untouched":
        yield f"nothing to do: none of the {plan.fed:,} rows that it was trained on goes"
        return
    erased = f", {plan.erased:,} of them because their content was erased" if plan.erased else ""
    yield f"{plan.gone:,} of {plan.fed:,} rows that it was trained on go{erased}; first fed in step {plan.first_step}"
    yield from _way(plan)
    if made.mediated:
        yield f"{made.mediated:,} rows that stay were written by a model that was trained on those that go"
    if made.adapter and made.snapshot:
        yield f"adapter {short(made.adapter)}: {plan.fed - plan.gone:,} rows, snapshot {short(made.snapshot)}"
        yield room_line(made.room)
    if made.proof:
        yield from _proof(made, made.proof)
    elif made.outcome == "made":
        yield "not proven: no training from the start was asked for (--prove)"
    yield from map(_left, made.stale)


def _way(plan: Replay) -> Iterator[str]:
    for one in plan.passed_over:
        yield f"the checkpoint after step {one.step} of run {short(one.run)} is {one.why}: passed over"
    if plan.checkpoint:
        again = f"{plan.steps - plan.from_step:,} of {plan.steps:,} steps again, {plan.share:.0%} of the work"
        yield f"from the checkpoint after step {plan.from_step} of run {short(plan.checkpoint.run)}: {again}"
    else:
        yield f"from the start, {plan.steps:,} steps: {plan.why}"
    if plan.differing:
        yield f"differing: {differing(plan.differing)}"
    if plan.train_cpu_s and plan.start_cpu_s is not None:
        again, whole = plan.share * plan.train_cpu_s, plan.train_cpu_s
        yield f"about {again:,.1f} CPU s, {whole:,.1f} from the start, and {plan.start_cpu_s:,.1f} to begin either"


def _proof(made: Replayed, proof: Rebuilt) -> Iterator[str]:
    first, *rest = _compared(proof)
    said = {"proven": "proven", "unproven": "NOT PROVEN", "incomparable": "neither proven nor disproven"}[made.outcome]
    yield f"{said}: a training from the start on the rows that stay gave {first}"
    yield from rest
    if made.outcome != "proven":
        yield f"run {short(proof.run)} is the training from the start: it has seen none of the rows"


def _left(stale: Stale) -> str:
    held = [f"{len(stale.checkpoints)} checkpoints"] if stale.checkpoints else []
    held += ["its adapter"] if stale.adapter else []
    return f"still there, and has seen rows that went: of run {short(stale.run)} {' and '.join(held) or 'nothing'}"
