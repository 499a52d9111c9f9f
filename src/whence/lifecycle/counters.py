"""What must not get worse while the gate gets better: suites of the role ``counter``."""

from __future__ import annotations

from collections.abc import Iterable

from whence.evaluate import by_another_tool, loss
from whence.records import Adapter, Evaluation, Finding, Gate, Ref, Run
from whence.store import Store
from whence.store.suites import current_suites


def counters(store: Store, thing: Ref, gate: Ref | None = None) -> Iterable[Finding]:
    """Check ``eval.counter``: on a suite of the role ``counter`` an adapter may not lose more against its base than the
    gate allows a slice. It passes where such a loss is ruled out, and fails where one is shown. Silent without such a
    suite. gate: by which a verdict is given; None: the one that was fixed last."""
    if not isinstance(store.get(thing), Adapter) or not (fixed := store.events("gate.fixed", last=True)):
        return
    rule = store.get(gate or Ref(str(fixed[0].about)), Gate)
    for name, (suite, held) in sorted(current_suites(store).items()):
        made = [
            (ref, one)
            for ref, one in store.all(Evaluation)
            if held.role == "counter" and one.suite == suite and not by_another_tool(store.get(one.run, Run))
        ]
        tuned = [one for one in made if one[1].adapter == thing]
        alone = [one for one in made if tuned and (one[1].adapter, one[1].base) == (None, tuned[-1][1].base)]
        if alone:
            yield loss(store, name, tuned[-1][0], alone[-1][0], rule)
