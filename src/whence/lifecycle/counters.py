"""What must not get worse while the gate gets better: suites of the role ``counter``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from whence.evaluate import by_another_tool, loss
from whence.records import Adapter, Evaluation, Finding, Gate, Ref, Run, Suite, Unmet
from whence.store import Store
from whence.store.suites import current_suites


def counters(store: Store, thing: Ref, gate: Ref | None = None) -> Iterable[Finding]:
    """Check ``eval.counter``: on a suite of the role ``counter`` an adapter may not lose more against its base than the
    gate allows a slice. It passes where such a loss is ruled out, and fails where one is shown. Silent without such a
    suite. Where one was shown on what the suite asked before, what it asks now is post hoc, and passes nothing. gate:
    by which a verdict is given; None: the one that was fixed last."""
    if not isinstance(store.get(thing), Adapter) or not (fixed := store.events("gate.fixed", last=True)):
        return
    rule = store.get(gate or Ref(str(fixed[0].about)), Gate)
    versions, now = dict[str, list[Ref]](), current_suites(store)
    for ref, suite in store.all(Suite):
        if suite.role == "counter":
            versions.setdefault(suite.name, []).append(ref)
    for name, refs in sorted(versions.items()):
        for ref in refs:
            if not (pair := _scored(store, ref, thing)):
                continue
            if ref == now[name][0]:
                yield loss(store, name, *pair, rule)
                continue
            try:
                before = loss(store, name, *pair, rule)
            except Unmet:  # the two were never asked alike
                continue
            if before.verdict == "fail":
                told = before.message.removeprefix(f"{name}: ")
                message = f"{name}: post hoc: it was changed after it had shown {told}; do: train a new candidate"
                yield replace(before, verdict="abstain", message=message)


def _scored(store: Store, suite: Ref, thing: Ref) -> tuple[Ref, Ref] | None:
    """The newest evaluations of an adapter and of its base on a suite."""
    made = [
        (ref, one)
        for ref, one in store.all(Evaluation)
        if one.suite == suite and not by_another_tool(store.get(one.run, Run))
    ]
    tuned = [one for one in made if one[1].adapter == thing]
    alone = [one for one in made if tuned and (one[1].adapter, one[1].base) == (None, tuned[-1][1].base)]
    return (tuned[-1][0], alone[-1][0]) if alone else None
