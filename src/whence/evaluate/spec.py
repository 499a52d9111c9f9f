"""From a sentence to something falsifiable: what is still missing, as findings. Nothing is asked of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from whence.evaluate.checkers import CHECKS, holds, listed, passes, words
from whence.evaluate.criteria import needed, population, power
from whence.evaluate.mutants import Mutants, mutants
from whence.evaluate.reviews import Review, agreement
from whence.evaluate.scorers import Unusable
from whence.evaluate.vague import vague
from whence.records import Criterion, Finding, Item, Requirement
from whence.records.judgement import Outcome
from whence.stats.paired import POWER

KILLED = 0.95
"""Share of mutants that a checker is to fail."""
MUTANTS = 5
"""Fewer mutants tell nothing of a checker."""
AGREED = 0.6
"""Kappa below which a statement goes back to its author."""
REVIEWED = 30
"""Answers that two reviewers are both to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Requirements with their criteria, and what they are to be tested on."""

    requirements: Sequence[tuple[Requirement, Sequence[Criterion]]]
    items: Sequence[Item] | None = None
    """of the gate suite; None: there is none"""
    scorer: str = "exact"
    """the gate suite's"""
    alpha: float = 0.05
    """the gate's"""

    def criteria(self) -> list[Criterion]:
        """Of all requirements, in order."""
        return [one for _, criteria in self.requirements for one in criteria]


def lint(spec: Spec, reviews: Sequence[Review] | None = None) -> list[Finding]:
    """What keeps requirements from being falsified: at most one finding for each thing that is missing, and for each
    criterion that has all of it the figures of its checker and of its size. A requirement with undefined words is one
    finding, whatever else it lacks. Raises Unmet without scipy, or where a checker needs an extra."""
    found, clear = list[Finding](), list[Criterion]()
    for requirement, criteria in spec.requirements:
        if open_words := undefined(requirement, criteria):
            found.append(_vague(requirement, criteria, open_words))
            continue
        if not criteria:
            nothing = f"{requirement.id}: no criterion says what would show that it is not met"
            found.append(_finding("spec.orphan", requirement.id, "fail", nothing))
        clear += criteria
    for one in clear:
        found += [*_missing(one), *_checker(one, spec), *_size(one, spec)]
    found += [*_contradictions(spec, clear), *_coverage(spec, clear)]
    return [*found, *(_agreed(one, reviews) for one in clear if reviews is not None)]


def _finding(check: str, about: str, verdict: Outcome, message: str, **numbers: float | int | None) -> Finding:
    severity = "low" if verdict == "pass" else "high"
    return Finding(check=check, about=about, verdict=verdict, severity=severity, message=message, **numbers)  # type: ignore[arg-type]


# -- words -------------------------------------------------------------------------------------------------------------


def undefined(requirement: Requirement, criteria: Sequence[Criterion]) -> list[str]:
    """Vague words of a requirement that no criterion with a check defines, and those of the criteria's statements."""
    defined = {word.lower() for one in criteria if one.check for word in one.defines}
    open_words = [word for word in vague(requirement.text) if word not in defined]
    return list(dict.fromkeys(open_words + [word for one in criteria for word in vague(one.statement)]))


def _vague(requirement: Requirement, criteria: Sequence[Criterion], open_words: Sequence[str]) -> Finding:
    lacks = list(dict.fromkeys(what for one in criteria for what in _lacks(one))) if criteria else ["criterion"]
    besides = f"; it also lacks: {', '.join(lacks)}" if lacks else ""
    said = ", ".join(map(repr, open_words))
    message = f"{requirement.id}: {said} can be read in several ways: say what an answer does, or `defines` it{besides}"
    return _finding("spec.vague", requirement.id, "fail", message, n=len(open_words))


# -- what is missing ---------------------------------------------------------------------------------------------------

LACKING = {
    "population": ("spec.population", 'which answers it speaks of: slice = "*", or "field=value"'),
    "threshold": ("spec.threshold", "how many answers must pass: threshold = 0.95"),
    "check": ("spec.checker", f"how an answer is checked: check = one of {', '.join(['right', *CHECKS])}"),
    "counterexample": ("spec.counterexample", "an answer that must fail: counterexample = …"),
    "example": ("spec.counterexample", "an answer that must pass: example = …"),
}
"""What a criterion may lack → (check id, what to say)."""


def _lacks(one: Criterion) -> list[str]:
    there: dict[str, object] = {"population": one.slice, "threshold": one.threshold, "check": one.check}
    there |= {"counterexample": one.counterexample or None, "example": one.example or None}
    return [what for what, value in there.items() if value is None]


def _missing(one: Criterion) -> Iterator[Finding]:
    for what in _lacks(one):
        check, say = LACKING[what]
        yield _finding(check, one.id, "fail", f"{one.id} does not say {say}")


# -- checkers ----------------------------------------------------------------------------------------------------------


def _checker(one: Criterion, spec: Spec) -> Iterator[Finding]:
    """Whether the check passes the examples, fails the counterexamples, and fails the mutants."""
    if {"check", "counterexample", "example"} & set(_lacks(one)):
        return
    if one.check == "right" and one.value is None:
        nothing = f"{one.id}: check right needs as its value what is expected where the example is the answer"
        yield _finding("spec.checker", one.id, "abstain", nothing)
        return
    try:
        wrong = [f"fails its example {_short(e)}" for e in one.example if not passes(one, e, spec.scorer)]
        wrong += [f"passes its counterexample {_short(c)}" for c in one.counterexample if passes(one, c, spec.scorer)]
        if wrong:
            yield _finding("spec.checker", one.id, "fail", f"{one.id}: {one.check} " + "; ".join(wrong), n=len(wrong))
            return
        made = mutants(one.statement, one.example, one.counterexample)
        alive = [mutant for mutant in made.violating if passes(one, mutant, spec.scorer)]
        hurt = [mutant for mutant in made.harmless if not passes(one, mutant, spec.scorer)]
    except Unusable as error:
        yield _finding("spec.checker", one.id, "fail", f"{one.id}: {error}")
        return
    yield _killed(one, made, alive, hurt)


def _killed(one: Criterion, made: Mutants, alive: Sequence[str], hurt: Sequence[str]) -> Finding:
    n, about = len(made.violating), f"{one.id} ({made.how})"
    if n < MUTANTS:
        few = f"{about}: only {n} answers that violate it can be made of its examples"
        return _finding("spec.mutants", one.id, "abstain", few, n=n)
    rate = 1 - len(alive) / n
    said = f"{about}: {one.check} fails {n - len(alive)} of {n} answers that violate it ({rate:.0%})"
    said += f", but passes {_short(alive[0])}" if alive else ""
    said += f"; fails {len(hurt)} of {len(made.harmless)} that do not, such as {_short(hurt[0])}" if hurt else ""
    verdict: Outcome = "pass" if rate >= KILLED and not hurt else "fail"
    return _finding("spec.mutants", one.id, verdict, said, statistic=rate, threshold=KILLED, n=n)


def _short(answer: str) -> str:
    return repr(answer if len(answer) <= 60 else answer[:57] + "…")


# -- size --------------------------------------------------------------------------------------------------------------


def _size(one: Criterion, spec: Spec) -> Iterator[Finding]:
    """Whether so many answers can tell the threshold from what is not let through any more."""
    if one.threshold is None or one.slice is None:
        return
    there = None if spec.items is None else len(population(one, spec.items))
    if there == 0:
        return
    n = one.n if there is None else min(one.n or there, there)
    enough = needed(one.threshold, one.tolerance, spec.alpha)
    least = f"{one.threshold:.1%} from {one.threshold - one.tolerance:.1%}"
    ask = f"{enough:,} answers" if enough else "more answers than anybody has, or a larger tolerance"
    if n is None:
        message = f"{one.id}: nobody says how many answers are looked at; to tell {least} takes {ask}"
        yield _finding("spec.power", one.id, "abstain", message, threshold=POWER)
        return
    reached = power(n, one.threshold, one.tolerance, spec.alpha)
    few = f"; n asks for {one.n:,}, the gate suite has {there:,}" if there is not None and (one.n or 0) > there else ""
    told = f"{one.id}: {n:,} answers tell {least} with power {reached:.3f}"
    verdict: Outcome = "pass" if reached >= POWER and not few else "abstain"
    takes = "" if reached >= POWER else f"; that takes {ask}"
    yield _finding("spec.power", one.id, verdict, told + takes + few, statistic=reached, threshold=POWER, n=n)


# -- contradictions ----------------------------------------------------------------------------------------------------


def _contradictions(spec: Spec, criteria: Sequence[Criterion]) -> Iterator[Finding]:
    """Pairs whose thresholds ask more answers to pass both than can."""
    checked = [one for one in criteria if one.check not in (None, "right") and one.slice is not None]
    for a, b in combinations(checked, 2):
        try:
            why = exclude(a, b) or exclude(b, a)
        except Unusable:  # said of its checker
            continue
        if why and _too_many(spec, a, b):
            together = f"{a.id} ({a.slice}, {_asks(a):.0%}) and {b.id} ({b.slice}, {_asks(b):.0%})"
            yield _finding("spec.contradiction", a.id, "fail", f"{together} cannot both hold: {why}")


def exclude(a: Criterion, b: Criterion) -> str:
    """Why no answer passes both checks; empty: not known."""
    if a.check == "label":
        if not any(passes(b, label) for label in listed(a.value)):
            return f"none of the labels of {a.id} passes {b.check}"
    elif a.check == "contains":
        phrases = listed(a.value)
        if b.check == "not_contains" and (both := [q for q in listed(b.value) for p in phrases if holds(q, p)]):
            return f"{both[0]!r} is demanded and forbidden"
        if b.check == "max_words" and (long := max(phrases, key=words)) and words(long) > b.value:
            return f"{long!r} alone has more than {b.value} words"
    elif (a.check, b.check) == ("min_words", "max_words") and a.value > b.value:
        return f"at least {a.value} words and at most {b.value}"
    return ""


def _asks(one: Criterion) -> float:
    return 1.0 if one.threshold is None else one.threshold


def _too_many(spec: Spec, a: Criterion, b: Criterion) -> bool:
    """Whether, with no answer passing both, the two thresholds cannot be met. Where no gate suite says how many answers
    are of both populations, only what holds for any number is said."""
    if a.slice == b.slice:
        return _asks(a) + _asks(b) > 1 + 1e-9
    fields = [(one.slice or "").partition("=")[0] for one in (a, b)]
    if fields[0] == fields[1]:
        return False
    if spec.items is None:
        return (
            all(_asks(one) == 1 for one in (a, b) if one.slice == "*") if "*" in fields else _asks(a) == _asks(b) == 1
        )
    of_a, of_b = ({item.id for item in population(one, spec.items)} for one in (a, b))
    both = len(of_a & of_b)
    least = [_asks(one) * len(of) - (len(of) - both) for one, of in ((a, of_a), (b, of_b))]
    return both > 0 and sum(max(0.0, some) for some in least) > both + 1e-9


# -- coverage ----------------------------------------------------------------------------------------------------------


def _coverage(spec: Spec, clear: Sequence[Criterion]) -> Iterator[Finding]:
    """Criteria that speak of no answer, and items that no criterion speaks of."""
    criteria = [one for one in spec.criteria() if one.slice is not None]
    if spec.items is None:
        sliced = [one.id for one in clear if one.slice not in (None, "*")]
        if sliced:
            unknown = f"no gate suite says which answers these speak of: {', '.join(sliced)}"
            yield _finding("spec.orphan", "gate", "abstain", unknown, n=len(sliced))
        return
    known = sorted({f"{field}={value}" for item in spec.items for field, value in item.slices.items()})
    for one in clear:
        if one.slice is not None and not population(one, spec.items):
            there = (
                f"it has {', '.join(known[:12])}" + (" …" if len(known) > 12 else "") if known else "it has no slices"
            )
            message = f"{one.id}: no item of the gate suite is of {one.slice}; {there}"
            yield _finding("spec.orphan", one.id, "fail", message, n=0)
    covered = {item.id for one in criteria for item in population(one, spec.items)}
    left = [item for item in spec.items if item.id not in covered]
    of = sorted({f"{field}={value}" for item in left for field, value in item.slices.items()})
    total = len(spec.items)
    if left and criteria:
        message = f"no criterion speaks of {len(left):,} of the gate suite's {total:,} items"
        message += f": {', '.join(of[:12])}" + (" …" if len(of) > 12 else "") if of else ""
        yield _finding("spec.orphan", "gate", "fail", message, statistic=float(len(left)), n=total)
    elif criteria:
        yield _finding(
            "spec.orphan", "gate", "pass", f"criteria speak of all {total:,} items of the gate suite", n=total
        )


# -- agreement ---------------------------------------------------------------------------------------------------------


def _agreed(one: Criterion, reviews: Sequence[Review] | None) -> Finding:
    """Whether two people read the statement alike."""
    found = agreement([review for review in reviews or () if review.criterion == one.id])
    n = found[1].n if found else 0
    given = _finding("spec.agreement", one.id, "abstain", "", threshold=AGREED, n=n)
    if found is None or n < REVIEWED:
        return replace(given, message=f"{one.id}: two reviewers looked at {n} of the same answers; needs {REVIEWED}")
    who, kappa = f"{one.id}: {found[0]} on {n} answers", found[1]
    if (kappa.low, kappa.high) == (-1, 1):
        return replace(given, message=f"{who} said one and the same of every one; choose some that fail, too")
    agreed = kappa.statistic >= AGREED - 1e-9
    back = "" if agreed else ": back to its author"
    return replace(
        given,
        verdict="pass" if agreed else "fail",
        severity="low" if agreed else "high",
        message=f"{who}: kappa {kappa.statistic:.2f} [{kappa.low:.2f}, {kappa.high:.2f}], needs {AGREED}{back}",
        statistic=kappa.statistic,
        low=kappa.low,
        high=kappa.high,
    )
