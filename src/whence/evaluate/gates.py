"""Gates: rules fixed before the candidate's first score, and the verdict that they and other checks give."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from whence.evaluate.adopted import MISSING, OF_THE_LOG, by_another_tool, question, started
from whence.evaluate.criteria import held
from whence.evaluate.elsewhere import NO_SCORE
from whence.evaluate.judges import AUDITED
from whence.evaluate.rules import Pairing, lost, rules
from whence.evaluate.suites import items_of
from whence.records import Criterion, Evaluation, Finding, Gate, Ref, Release, Run, Suite, Unmet, Verdict, encode
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
    counts = {f: getattr(gate, f) for f in ("min_items", "min_slice_items", "budget")}
    faults += [f"{field} is {count}, below 1" for field, count in counts.items() if count is not None and count < 1]
    if faults:
        raise Unmet("\n".join(faults), "a gate suite and numbers within their ranges", "correct the gate")
    with store.transaction():
        name = store.put(gate)
        if not store.events("gate.fixed", about=name):
            store.append("gate.fixed", name, {"suite": gate.suite})
    return name


def judge(
    store: Store,
    gate: Ref,
    candidate: Ref,
    baseline: Ref,
    findings: Sequence[Finding] = (),
    left: Collection[str] = (),
) -> Ref:
    """The verdict on a candidate's Evaluation against a baseline's, and on what checks found; returns its digest. left:
    items that rows were made after, which judge nothing.

    Where any evaluation of the candidate on its items was finished before the gate was fixed, it is post hoc: it says
    so, and passes nothing. Raises Unmet where the two are not on the gate's suite under the same inputs, or where the
    gate was never fixed.
    """
    fixed, new, old = store.get(gate, Gate), store.get(candidate, Evaluation), store.get(baseline, Evaluation)
    _refuse_other_questions(store, fixed, new, old)
    items, lines = items_of(store, fixed.suite), store.get_lines(new.scores)
    left = sorted({item.id for item in items}.intersection(left))
    pairing = Pairing.of(items, states(store, new), states(store, old))
    others = tried_beside(store, new, old)
    tried = [states(store, one) for one in others.values()]
    own = rules(fixed, pairing, candidate=candidate, baseline=baseline, others=tried, left=left)
    stay = [item for item in items if item.id not in left]
    criteria = [held(store.get(ref, Criterion), stay, lines, fixed.alpha) for ref in fixed.criteria or ()]
    also = (
        *_post_hoc(store, gate, new),
        *_late(store, new, old),
        *_audited(store, new),
        *_budget(store, gate, new, old),
        *_lacking(store, fixed, (new, old), [item.id for item in stay]),
    )
    found = (*own, *also, *criteria, *findings)
    verdict = Verdict(outcome=outcome(found), gate=gate, candidate=candidate, baseline=baseline, findings=found)
    with store.transaction():
        name = store.put(verdict)
        if not store.events("verdict.given", about=name):
            data = {"outcome": verdict.outcome, "candidate": candidate, "others": [*others]}
            store.append("verdict.given", name, data | ({"set": store.put_lines(left)} if left else {}))
    return name


def outcome(findings: Sequence[Finding]) -> Outcome:
    """What findings come to. Those of severity high decide: one fail fails, else one abstention abstains, else it is a
    pass. The others inform."""
    said = {finding.verdict for finding in findings if finding.severity == "high"}
    return "fail" if "fail" in said else "abstain" if "abstain" in said else "pass"


def _refuse_other_questions(store: Store, gate: Gate, new: Evaluation, old: Evaluation) -> None:
    named = {ref: f"{store.get(ref, Suite).name} {ref[7:19]}…" for ref in (gate.suite, new.suite, old.suite)}
    for who, evaluation in (("candidate", new), ("baseline", old)):
        if evaluation.suite != gate.suite:
            raise Unmet(
                f"the {who} was evaluated on suite {named[evaluation.suite]}",
                f"the gate's suite {named[gate.suite]}",
                "evaluate candidate and baseline on the gate's suite",
            )
    inputs = [
        {name: value for name, value in store.get(one.run, Run).inputs.items() if name not in OF_THE_LOG}
        for one in (new, old)
    ]
    if inputs[0] != inputs[1]:
        raise Unmet(
            f"the candidate was evaluated with {inputs[0]}, the baseline with {inputs[1]}",
            "the same inputs",
            "evaluate the one again with the inputs of the other",
        )


def _post_hoc(store: Store, gate: Ref, new: Evaluation) -> Iterator[Finding]:
    """Every earlier score of the candidate on these items counts, under whatever prompt; and so does one that another
    tool began before, whenever its log was brought in. Of a log without a time nobody can say."""
    fixed = store.events("gate.fixed", about=gate)
    if not fixed:
        raise Unmet(f"gate {gate[:19]}… was never fixed", "a gate.fixed event", "fix the gate, then evaluate")
    stood = fixed[0]
    for seq, other in scored(store, new.suite, alike=True):
        at = started(store.get(other.run, Run))
        if _who(other) == _who(new) and (seq < stood.seq or (at and at < stood.recorded_at)):
            when = f"at event {seq}" if seq < stood.seq else f"on {at:%Y-%m-%d %H:%M:%S} UTC, as its log says"
            after = f"at event {stood.seq}" if seq < stood.seq else f"on {stood.recorded_at:%Y-%m-%d %H:%M:%S}"
            yield Finding(
                check=POST_HOC,
                about=gate,
                verdict="abstain",
                severity="high",
                message=f"post hoc: the candidate was scored on these items {when}, the gate was fixed after "
                f"that, {after}; do: judge by the gate that stood then, or train a new candidate",
            )
            return
    run = store.get(new.run, Run)
    at, came = started(run), store.events("run.finished", about=new.run)[0].recorded_at
    if by_another_tool(run) and (at is None or at > came):
        when = "does not say when the candidate was scored" if at is None else "says that it began after it came here"
        message = f"the log {when}: whether the gate stood by then nobody can tell"
        yield Finding(check=UNDATED, about=gate, verdict="abstain", severity="low", message=message)


def _late(store: Store, new: Evaluation, old: Evaluation) -> Iterator[Finding]:
    """A baseline that was asked under another prompt when the candidate's score was known, though one was there, may
    have been chosen to lose."""
    every, model = [*scored(store, new.suite, alike=True)], (old.base, old.adapter)
    known = min((seq for seq, one in every if _who(one) == _who(new)), default=0)
    came = min((seq for seq, one in every if (one.base, one.adapter, one.prompt) == (*model, old.prompt)), default=0)
    there = [seq for seq, one in every if (one.base, one.adapter) == model and seq < known < came]
    if there:
        yield Finding(
            check=POST_HOC,
            about=old.prompt,
            verdict="abstain",
            severity="high",
            message=f"post hoc: the baseline was scored under this prompt at event {came}, the candidate at event "
            f"{known}, and the baseline under another one before, at event {there[-1]}; do: judge against that one, or "
            "train a new candidate",
        )


def _audited(store: Store, new: Evaluation) -> Iterator[Finding]:
    """Where a judge scored: what its newest audit came to, and that no other judge's score was known before its own."""
    if judge := store.get(new.run, Run).inputs.get("judge"):
        seq, first = next((seq, one) for seq, one in scored(store, new.suite) if _who(one) == _who(new))
        if store.get(first.run, Run).inputs.get("judge") != judge:
            yield Finding(
                check=POST_HOC,
                about=judge,
                verdict="abstain",
                severity="high",
                message=f"post hoc: another judge scored the candidate on these items at event {seq}, before this "
                "one; do: take that one again, or train a new candidate",
            )
        last = store.events(AUDITED, about=Ref(judge))[-1:]
        said: Outcome = last[0].data["outcome"] if last else "abstain"
        message = f"its audit at event {last[0].seq} says {said}" if last else "it was never audited"
        yield Finding(
            check=AUDITED,
            about=judge,
            verdict=said,
            severity="high",
            message=f"the judge that scored: {message}" + ("" if said == "pass" else "; do: whence eval judges PAIRS"),
            evidence=(judge,),
        )


def _budget(store: Store, gate: Ref, new: Evaluation, old: Evaluation) -> Iterator[Finding]:
    """How many candidates were scored on these items until this one was, of as many as may be: each look tells
    something about the items, and in the end a candidate is better at them and at nothing else."""
    most = store.get(gate, Gate).budget
    if most is None:
        return
    every = _searched(store, new.suite, None if old.adapter else old.base)
    looks = list(dict.fromkeys(_model(one) for _, one in every))
    at = looks.index(_model(new)) + 1 if _model(new) in looks else len(looks)
    spent = "; do: take items that nobody has seen" if at > most else ""
    yield Finding(
        check="eval.budget",
        about=new.suite,
        verdict="abstain" if at > most else "pass",
        severity="high",
        message=f"this is candidate {at} of {most} that may be scored on these items{spent}",
        statistic=float(at),
        threshold=float(most),
        n=at,
    )


def _lacking(store: Store, gate: Gate, sides: Sequence[Evaluation], items: Sequence[str]) -> Iterator[Finding]:
    """Items that neither log holds, or scores, may have been left out for what became of them."""
    if not all(by_another_tool(store.get(one.run, Run)) for one in sides):
        return
    lines = [store.get_lines(one.scores) for one in sides]
    without = [{line["item"] for line in side if line.get("reason") in (MISSING, NO_SCORE)} for side in lines]
    n, both = len(items), len(set.intersection(*without).intersection(items))
    if both > gate.max_unscored * n:
        yield Finding(
            check="eval.lacking",
            about=gate.suite,
            verdict="abstain",
            severity="high",
            message=f"neither log scores {both} of {n} items; at most {gate.max_unscored:.1%} allowed, since whoever "
            "leaves items out may choose which; do: bring in logs of all items",
            statistic=both / n,
            threshold=gate.max_unscored,
            n=n,
        )


def known_since(store: Store, candidate: Ref) -> datetime:
    """When the first score of a candidate on an evaluation's items was known, or half of them."""
    new = store.get(candidate, Evaluation)
    events = {event.seq: event.recorded_at for event in store.events("run.finished")}
    same = [(seq, one) for seq, one in scored(store, new.suite, alike=True) if _who(one) == _who(new)]
    same += [(event.seq, new) for event in store.events("run.finished", about=new.run)]  # asked another way, too
    return min(started(store.get(one.run, Run)) or events[seq] for seq, one in same)


def loss(store: Store, name: str, candidate: Ref, baseline: Ref, gate: Gate) -> Finding:
    """Whether a candidate lost no more on a suite than the gate allows a slice; the name is what the finding calls the
    suite. Raises Unmet where the two were not asked the same."""
    new, old = store.get(candidate, Evaluation), store.get(baseline, Evaluation)
    counter = replace(gate, suite=new.suite)
    _refuse_other_questions(store, counter, new, old)
    pairing = Pairing.of(items_of(store, new.suite), states(store, new), states(store, old))
    return replace(lost(counter, pairing, name), evidence=(candidate, baseline))


POST_HOC = "eval.post_hoc"
"""the check that says that a gate was fixed when the candidate's score was known"""
UNDATED = "eval.undated"
"""the check that says that nobody can tell"""


def scored(store: Store, suite: Ref, *, alike: bool = False) -> Iterator[tuple[int, Evaluation]]:
    """(number of the event, evaluation) of all that were made on a suite's items, under whatever name, as they came.
    The same adapter asked another way is no other score. alike: also those on a suite that asks half of what they ask,
    or more."""
    mine = store.get(suite, Suite)
    suites = [
        ref for ref, other in store.all(Suite) if other.root == mine.root or (alike and _alike(store, mine, other))
    ]
    made = (store.get(ref) for ref, field, _ in store.downstream(suites) if field == "suite")
    found = [
        (event.seq, one)
        for one in made
        if isinstance(one, Evaluation) and "via" not in store.get(one.run, Run).inputs
        for event in store.events("run.finished", about=one.run)
    ]
    yield from sorted(found, key=lambda pair: pair[0])


def _alike(store: Store, mine: Suite, other: Suite) -> bool:
    """Whether a suite asks half of what these items ask, under whatever ids, slices and expected values, and whatever
    it asks besides."""
    if 2 * other.n < mine.n:
        return False
    asked = _questions(store, mine)
    return 2 * len(asked & _questions(store, other)) >= len(asked)


def _questions(store: Store, suite: Suite) -> set[int]:
    """Marks of what a suite asks."""
    return store.memo(
        f"questions of {suite.items}",
        lambda: {hash(encode(question(line.get("input")))) for line in store.get_lines(suite.items)},
        "Suite",
    )


def _searched(store: Store, suite: Ref, besides: Ref | None = None) -> list[tuple[int, Evaluation]]:
    """Scores of whatever may have been chosen among on these items: adapters, and models that another tool asked.
    besides: a model that is compared with, and no candidate."""
    return [
        (seq, one)
        for seq, one in scored(store, suite, alike=True)
        if one.adapter or (one.base != besides and by_another_tool(store.get(one.run, Run)))
    ]


def tried_beside(store: Store, new: Evaluation, old: Evaluation) -> dict[Ref, Evaluation]:
    """The last evaluation of each other candidate on these items, between two releases of such: a search, of which this
    one may be the best. old: what it is compared with."""
    besides = None if old.adapter else old.base
    every = [(seq, one) for seq, one in _searched(store, new.suite, besides) if one.prompt == new.prompt]
    adapters, own = {one.adapter for _, one in every}, max((seq for seq, one in every if one == new), default=0)
    released = [event.seq for event in store.events("release.made") if _adapter(store, event.about) in adapters]
    since = max((seq for seq in released if seq < own), default=-1)
    until = min((seq for seq in released if seq > own), default=store.head()[0] + 1)
    between = [one for seq, one in every if since < seq < until]
    last = {_model(one): one for one in between if _model(one) not in (_model(new), _model(old))}
    refs = {one: ref for ref, one in store.all(Evaluation)} if last else {}
    return {refs[one]: one for one in last.values()}


def _adapter(store: Store, release: str | None) -> Ref | None:
    made = store.get(Ref(str(release)))
    return made.adapter if isinstance(made, Release) else None


def _model(evaluation: Evaluation) -> Ref:
    return evaluation.adapter or evaluation.base


def _who(evaluation: Evaluation) -> tuple[Ref, Ref | None, Ref | None]:
    """Base and adapter; for a base alone its prompt too, since other prompts of it are baselines."""
    return evaluation.base, evaluation.adapter, None if evaluation.adapter else evaluation.prompt


def states(store: Store, evaluation: Evaluation) -> dict[str, str]:
    """Item → right, wrong or unscored."""
    return {line["item"]: line["state"] for line in store.get_lines(evaluation.scores)}
