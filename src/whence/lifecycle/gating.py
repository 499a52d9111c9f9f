"""The project's gate, fixed and judged by apart from the main path: for evaluations that another tool ran."""

from __future__ import annotations

from dataclasses import asdict

from whence import evaluate
from whence.lifecycle.exposure import derived
from whence.lifecycle.run import Told, Walk
from whence.project import Project
from whence.records import Adapter, Closure, Evaluation, Event, Gate, NotFound, Ref, Suite
from whence.store import Store
from whence.store.suites import current_suites


def fix(project: Project, store: Store, told: Told, name: str | None = None) -> Event:
    """Fix the project's gate on a suite as it is now, unless it is; the event that says when it was. name: of the
    suite; None: the project's gate suite. Raises NotFound, Unmet."""
    walk = Walk(project, store, told)
    mine = next((part.name for part in project.file.suites if part.role == "gate"), None)
    walk.put_suites()
    known, wanted = current_suites(store), name or mine
    if wanted is None or wanted not in known:
        said = f"no suite is called {wanted!r}" if wanted else "the project has no gate suite"
        raise NotFound(f"{said}\n  expected: one of {', '.join(sorted(known)) or 'none yet'}")
    gate = _fixed(project, store, known[wanted][0])
    return store.events("gate.fixed", about=gate)[0]


def judged(project: Project, store: Store, told: Told, candidate: Ref, baseline: Ref) -> Ref:
    """The verdict by the project's gate on one evaluation against another of the same items, with what the installed
    checks say of the candidate's adapter. Nothing is released. Raises Unmet."""
    walk, new = Walk(project, store, told), store.get(candidate, Evaluation)
    walk.put_suites()
    walk.out.base, walk.out.adapter = new.base, new.adapter
    if new.adapter:
        walk.out.snapshot = store.get(store.get(new.adapter, Adapter).closure, Closure).snapshot
    walk.out.gate = gate = _fixed(project, store, new.suite)
    left = derived(store, store.get(new.suite, Suite).name, evaluate.known_since(store, candidate))
    return evaluate.judge(store, gate, candidate, baseline, walk.findings(walk.out), left)


def _fixed(project: Project, store: Store, suite: Ref) -> Ref:
    """Criteria are of answers to the project's own gate suite."""
    mine = {part.name for part in project.file.suites if part.role == "gate"}
    own = {ref for name, (ref, _) in current_suites(store).items() if name in mine}
    criteria = evaluate.compiled(store, project.requirements()) if suite in own else None
    return evaluate.fix_gate(store, Gate(suite=suite, **asdict(project.file.gate), criteria=criteria))
