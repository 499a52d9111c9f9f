"""Gates: rules fixed before the candidate's first score, and the verdict that they and other checks give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from whence.evaluate.criteria import held
from whence.evaluate.rules import Pairing, rules
from whence.evaluate.suites import items_of
from whence.records import Criterion, Evaluation, Finding, Gate, Json, Ref, Run, Suite, Unmet, Verdict
from whence.records.judgement import Outcome
from whence.store import Store


def fix_gate(store: Store, gate: Gate) -> Ref:
    """Store a gate and append ``gate.fixed`` about it, once; returns its digest.

    Raises Unmet that lists every number out of its range, and for a suite that is not a gate suite.
    """
    suite = store.get(gate.suite, Suite)
    faults = [] if suite.role == "gate" else [f"suite {suite.name} is a {suite.role} suite"]
    bounds = {"min_gain": (-1, 1), "max_slice_drop": (0, 1), "max_unscored": (0, 1), "min_value": (0, 1)}
    for field, (low, high) in bounds.items():
        value = getattr(gate, field)
        if value is not None and not low <= value <= high:
            faults.append(f"{field} is {value}, outside {low} to {high}")
    if not 0 < gate.alpha < 1:
        faults.append(f"alpha is {gate.alpha}, outside 0 to 1")
    faults += [f"{f} is {getattr(gate, f)}, below 1" for f in ("min_items", "min_slice_items") if getattr(gate, f) < 1]
    if faults:
        raise Unmet("\n".join(faults), "a gate suite and numbers within their ranges", "correct the gate")
    with store.transaction():
        name = store.put(gate)
        if not store.events("gate.fixed", about=name):
            store.append("gate.fixed", name, {"suite": gate.suite})
    return name


def judge(store: Store, gate: Ref, candidate: Ref, baseline: Ref, findings: Sequence[Finding] = ()) -> Ref:
    """The verdict on a candidate's Evaluation against a baseline's, and on what checks found; returns its digest.

    Raises Unmet where the two are not on the gate's suite under the same inputs, or where any evaluation of the
    candidate on its items was finished before the gate was fixed.
    """
    fixed, new, old = store.get(gate, Gate), store.get(candidate, Evaluation), store.get(baseline, Evaluation)
    _refuse_other_questions(store, fixed, new, old)
    _refuse_late_gate(store, gate, new)
    items, said = items_of(store, fixed.suite), store.get_lines(new.scores)
    pairing = Pairing.of(items, _states(said), _states(store.get_lines(old.scores)))
    criteria = [held(store.get(ref, Criterion), items, said, fixed.alpha) for ref in fixed.criteria or ()]
    found = (*rules(fixed, pairing, candidate=candidate, baseline=baseline), *criteria, *findings)
    verdict = Verdict(outcome=outcome(found), gate=gate, candidate=candidate, baseline=baseline, findings=found)
    with store.transaction():
        name = store.put(verdict)
        if not store.events("verdict.given", about=name):
            store.append("verdict.given", name, {"outcome": verdict.outcome, "candidate": candidate})
    return name


def outcome(findings: Sequence[Finding]) -> Outcome:
    """What findings come to. Those of severity high decide: one fail fails, else one abstention abstains, else it is a
    pass. The others inform."""
    said = {finding.verdict for finding in findings if finding.severity == "high"}
    return "fail" if "fail" in said else "abstain" if "abstain" in said else "pass"


def _refuse_other_questions(store: Store, gate: Gate, new: Evaluation, old: Evaluation) -> None:
    for who, evaluation in (("candidate", new), ("baseline", old)):
        if evaluation.suite != gate.suite:
            raise Unmet(
                f"the {who} was evaluated on suite {evaluation.suite[:19]}…",
                f"the gate's suite {gate.suite[:19]}…",
                "evaluate candidate and baseline on the gate's suite",
            )
    inputs = [dict(store.get(evaluation.run, Run).inputs) for evaluation in (new, old)]
    if inputs[0] != inputs[1]:
        raise Unmet(
            f"the candidate was evaluated with {inputs[0]}, the baseline with {inputs[1]}",
            "the same inputs",
            "evaluate the one again with the inputs of the other",
        )


def _refuse_late_gate(store: Store, gate: Ref, new: Evaluation) -> None:
    """Every earlier score of the candidate on these items counts, under whatever prompt and name of the suite."""
    fixed = store.events("gate.fixed", about=gate)
    if not fixed:
        raise Unmet(f"gate {gate[:19]}… was never fixed", "a gate.fixed event", "fix the gate, then evaluate")
    root = store.get(new.suite, Suite).root
    suites = [ref for ref, suite in store.all(Suite) if suite.root == root]
    for other in (store.get(ref) for ref, field, _ in store.downstream(suites) if field == "suite"):
        if not isinstance(other, Evaluation) or _who(other) != _who(new):
            continue
        for event in store.events("run.finished", about=other.run):
            if event.seq < fixed[0].seq:
                raise Unmet(
                    f"the candidate was scored on these items at event {event.seq}, "
                    f"the gate was fixed after that, at event {fixed[0].seq}",
                    "a gate fixed before the candidate's first score",
                    "judge by the gate that stood then, or train a new candidate",
                )


def _who(evaluation: Evaluation) -> tuple[Ref, Ref | None, Ref | None]:
    """Base and adapter; for a base alone its prompt too, since other prompts of it are baselines."""
    return evaluation.base, evaluation.adapter, None if evaluation.adapter else evaluation.prompt


def _states(lines: Iterable[Json]) -> dict[str, str]:
    return {line["item"]: line["state"] for line in lines}
