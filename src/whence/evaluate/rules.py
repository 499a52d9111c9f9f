"""The rules of a gate, each as Findings with every number it used. Pure: scores in, findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from whence.records import Finding, Gate, Item
from whence.records.judgement import Outcome
from whence.stats import Result, adjusted, best_of, items_needed, mcnemar, wilson
from whence.stats.paired import tango
from whence.stats.result import two_sided_z


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Two evaluations of one suite, item by item."""

    items: Sequence[Item]
    """the suite's, in order"""
    new: Mapping[str, str]
    """item id → right, wrong or unscored: the candidate"""
    old: Mapping[str, str]
    """the same: the baseline"""
    pairs: Sequence[Item]
    """items scored on both sides"""

    @classmethod
    def of(cls, items: Sequence[Item], new: Mapping[str, str], old: Mapping[str, str]) -> Pairing:
        """Pair by item id; items unscored on either side are left out of `pairs`."""
        pairs = [item for item in items if "unscored" not in (new[item.id], old[item.id])]
        return cls(items=items, new=new, old=old, pairs=pairs)

    def part(self, ids: Iterable[str]) -> Pairing:
        """Of some items alone."""
        some = set(ids)
        items = [item for item in self.items if item.id in some]
        new, old = ({i: state for i, state in side.items() if i in some} for side in (self.new, self.old))
        return Pairing.of(items, new, old)

    def without(self, ids: Collection[str]) -> Pairing:
        """Of all items but some."""
        return self.part([item.id for item in self.items if item.id not in ids]) if ids else self

    def slices(self) -> dict[str, list[Item]]:
        """``field=value`` → its pairs, by name; a slice whose items are all unscored has none."""
        paired = {item.id for item in self.pairs}
        out: dict[str, list[Item]] = {}
        for item in self.items:
            for field, value in item.slices.items():
                members = out.setdefault(f"{field}={value}", [])
                if item.id in paired:
                    members.append(item)
        return dict(sorted(out.items()))

    def compare(self, pairs: Sequence[Item], alpha: float) -> Result:
        """Exact McNemar of the candidate against the baseline on some pairs."""
        return mcnemar(*self.moved(pairs), len(pairs), alpha)

    def moved(self, pairs: Sequence[Item]) -> tuple[int, int]:
        """Pairs that only the candidate has right, and that only the baseline has."""
        both = [(self.new[item.id], self.old[item.id]) for item in pairs]
        return both.count(("right", "wrong")), both.count(("wrong", "right"))


def rules(
    gate: Gate,
    pairing: Pairing,
    *,
    candidate: str,
    baseline: str,
    others: Sequence[Mapping[str, str]] = (),
    left: Collection[str] = (),
) -> list[Finding]:
    """What each rule finds; the names are what the findings call the two evaluations. others: item id → state of each
    candidate that was tried on the same items beside this one: the gain has to stand for the best of so many. left:
    items that rows were made after; they judge nothing.

    Severity high marks a rule that decides. Below `min_items` pairs the rules about values abstain, whatever they see.
    """
    gone = _left(gate, pairing, candidate, left)
    pairing = pairing.without(left)
    enough = len(pairing.pairs) >= gate.min_items
    found = [
        _items(gate, pairing, candidate),
        _unscored(gate, pairing.new, pairing.old, candidate, "candidate"),
        _unscored(gate, pairing.old, pairing.new, baseline, "baseline"),
    ]
    if gate.min_value is not None:
        found.append(_value(gate.min_value, pairing, candidate, enough))
    if pairing.pairs:
        found.append(_gain(gate, pairing, candidate, enough, 1 + len(others)))
        found += _slices(gate, pairing, enough)
    if others:
        found.append(_chosen(pairing, candidate, others))
    return [*found, *_parts(gate, pairing, candidate), *gone]


def _left(gate: Gate, pairing: Pairing, about: str, left: Collection[str]) -> Iterator[Finding]:
    """How many items left, and how the candidate did on them. It decides nothing, and is flagged where the candidate is
    shown to be worse on them: somebody may have been glad to see them go."""
    gone = pairing.part(left)
    if not gone.items:
        return
    said = f"{len(gone.items)} of {len(pairing.items)} items left the gate: rows were made after them"
    if not gone.pairs:
        yield Finding(check="gate.left", about=about, verdict="pass", severity="info", message=said, n=len(gone.items))
        return
    found = gone.compare(gone.pairs, gate.alpha)
    worse = found.statistic < 0 and found.p is not None and found.p < gate.alpha
    yield Finding(
        check="gate.left",
        about=about,
        verdict="fail" if worse else "pass",
        severity="low" if worse else "info",
        message=f"{said}; on them {_change(found, found.p)}",
        statistic=found.statistic,
        threshold=0.0,
        n=len(gone.items),
        low=found.low,
        high=found.high,
        p=found.p,
        detectable=found.detectable,
    )


def _parts(gate: Gate, pairing: Pairing, about: str) -> Iterator[Finding]:
    """Value and gain of what revocable rows teach, and of the rest. Where the suite asks too little of the first
    nobody can tell whether they were learnt: that decides. Of the rest, all the other rules tell."""
    if gate.own is None:
        return
    rest = [item.id for item in pairing.items if item.id not in set(gate.own)]
    for said, ids, severity in (("what revocable rows teach", gate.own, "high"), ("the rest", rest, "info")):
        part = pairing.part(ids)
        if len(part.pairs) < gate.min_slice_items:
            few = f"{said}: {len(part.pairs)} items scored on both sides; needs {gate.min_slice_items}"
            yield Finding(
                check="gate.part", about=about, verdict="abstain", severity=severity, message=few, n=len(part.pairs)
            )
            continue
        found = [_value(gate.min_value, part, about, True)] if gate.min_value is not None else []
        for one in (*found, _gain(gate, part, about, True)):
            yield replace(one, check="gate.part", message=f"{said}: {one.message}")


def _items(gate: Gate, pairing: Pairing, about: str) -> Finding:
    n, total = len(pairing.pairs), len(pairing.items)
    neither = sum(pairing.new[item.id] == pairing.old[item.id] == "unscored" for item in pairing.items)
    said = f" ({neither} on neither)" if neither else ""
    return Finding(
        check="gate.items",
        about=about,
        verdict="pass" if n >= gate.min_items else "abstain",
        severity="high",
        message=f"{n} of {total} items scored on both sides{said}; needs {gate.min_items}",
        statistic=float(n),
        threshold=float(gate.min_items),
        n=total,
    )


def _unscored(gate: Gate, states: Mapping[str, str], others: Mapping[str, str], about: str, who: str) -> Finding:
    """A candidate without a value too often fails; such a baseline leaves nothing to compare with: abstain. An item
    without a value on either side is the suite's matter: the fewer are left."""
    alone = [item for item, state in states.items() if state == "unscored" != others[item]]
    missing, total = len(alone), len(states)
    broken: Outcome = "fail" if who == "candidate" else "abstain"
    return Finding(
        check="gate.unscored",
        about=about,
        verdict="pass" if missing <= gate.max_unscored * total else broken,
        severity="high",
        message=f"{who}: {missing} of {total} items unscored that the other has; at most {gate.max_unscored:.1%} "
        "allowed",
        statistic=missing / max(total, 1),
        threshold=gate.max_unscored,
        n=total,
    )


def _value(least: float, pairing: Pairing, about: str, enough: bool) -> Finding:
    """Pass: the whole interval of the share right reaches the least value. Fail: no part of it does. Else abstain."""
    scored = [state for state in pairing.new.values() if state != "unscored"]
    if not scored:
        nothing = "no item of the candidate is scored"
        return Finding(
            check="gate.value", about=about, verdict="abstain", severity="high", message=nothing, threshold=least, n=0
        )
    share = wilson(scored.count("right"), len(scored))
    said: Outcome = "pass" if share.low >= least else "fail" if share.high < least else "abstain"
    tells = said == "abstain" and share.statistic != least
    asks = f"; asks for {_told_from(share.statistic, least):,} items to tell" if tells else ""
    return Finding(
        check="gate.value",
        about=about,
        verdict=said if enough else "abstain",
        severity="high",
        message=f"{share.statistic:.1%} right [{share.low:.1%}, {share.high:.1%}]; needs {least:.1%}{asks}",
        statistic=share.statistic,
        threshold=least,
        n=share.n,
        low=share.low,
        high=share.high,
    )


def _told_from(share: float, least: float) -> int:
    """Items at which the interval of a share leaves a value out, about: where Wilson's, of 95 %, just reaches it."""
    return ceil(two_sided_z(0.95) ** 2 * least * (1 - least) / (share - least) ** 2)


def _gain(gate: Gate, pairing: Pairing, about: str, enough: bool, tried: int = 1) -> Finding:
    found, moved = pairing.compare(pairing.pairs, gate.alpha), pairing.moved(pairing.pairs)
    low = lowest(*moved, found.n, gate.alpha, tried)
    said = gain_outcome(found, gate.min_gain, gate.alpha, tried, low) if enough else "abstain"
    surer = f"; at {min(gate.alpha, 0.05) / tried:.2g} its interval begins at {low:+.1%}" if low != found.low else ""
    asks = _asks(found, sum(moved) / found.n, gate) if said == "abstain" else ""
    return Finding(
        check="gate.gain",
        about=about,
        verdict=said,
        severity="high",
        message=f"{_change(found, found.p)}{f' × {tried} tried' if tried > 1 else ''}; needs {gate.min_gain:+.1%}"
        f"{surer if gate.min_gain else ''}; {_detectable(found, gate)}{asks}",
        statistic=found.statistic,
        threshold=gate.min_gain,
        n=found.n,
        low=found.low,
        high=found.high,
        p=None if found.p is None else min(1.0, tried * found.p),
        detectable=found.detectable,
    )


def lost(gate: Gate, pairing: Pairing, about: str) -> Finding:
    """Whether the candidate lost no more than `max_slice_drop` on these items: pass where such a loss is ruled out,
    fail where a loss is shown and it is not, else abstain."""
    n = len(pairing.pairs)
    if n < gate.min_slice_items or not gate.max_slice_drop:
        few = f"{about}: {n} items scored on both sides; needs {gate.min_slice_items}, and some loss to rule out"
        return Finding(check="eval.counter", about=about, verdict="abstain", severity="high", message=few, n=n)
    held = replace(gate, min_gain=-gate.max_slice_drop)
    found = _gain(held, pairing, about, True)
    return replace(found, check="eval.counter", message=f"{about}: {found.message}")


def _chosen(pairing: Pairing, about: str, others: Sequence[Mapping[str, str]]) -> Finding:
    """What the best of all that were tried would score on other items, and whether its score owes more than a standard
    error to the choice. It decides nothing: the gain has to stand for the best of so many by itself."""
    each = [pairing.new, *others]
    asked = [item.id for item in pairing.items if all(one.get(item.id, "unscored") != "unscored" for one in each)]
    if len(asked) < 2:
        few = f"{len(each)} candidates were tried; {len(asked)} items are scored by all"
        return Finding(check="gate.chosen", about=about, verdict="abstain", severity="low", message=few, n=len(asked))
    right = [[one[i] == "right" for i in asked] for one in each]
    found, shown = best_of(right), max(sum(one) for one in right) / len(asked)
    owed = found.detectable is not None and shown - found.statistic > found.detectable
    said = f"of {len(each)} candidates tried on these items the best shows {shown:.1%}; corrected for the choice "
    return Finding(
        check="gate.chosen",
        about=about,
        verdict="fail" if owed else "pass",
        severity="low",
        message=f"{said}{found.statistic:.1%} [{found.low:.1%}, {found.high:.1%}]",
        statistic=found.statistic,
        threshold=shown,
        n=found.n,
        low=found.low,
        high=found.high,
    )


def lowest(gained: int, lost: int, n: int, alpha: float, tried: int = 1) -> float:
    """Where the interval of a difference begins that holds for so many candidates at once: of 95 %, or of 1 − alpha
    where alpha is smaller, shared out by Bonferroni."""
    return tango(gained, lost, n, 1 - min(alpha, 0.05) / tried)[0]


def gain_outcome(found: Result, least: float, alpha: float, tried: int = 1, low: float | None = None) -> Outcome:
    """Whether a paired difference meets a least gain. tried: candidates of which this may be the best: it passes at
    alpha / tried (Bonferroni). low: `lowest`; None: that of one candidate at 5 %.

    A claimed gain, 0 or more: pass when McNemar's test shows a gain and, of a claim above 0, `low` reaches it. Fail
    when a loss is shown, or the whole interval lies below the claim.
    An allowed loss, below 0: pass when `low` reaches it (non-inferiority). Fail when a loss of whatever size is shown,
    which may be the allowed one or more.
    Else abstain.
    """
    p = 1.0 if found.p is None else found.p
    reaches = least <= (found.low if low is None else low)
    gains = tried * p < alpha and found.statistic > 0
    if (gains or least < 0) and (reaches or least == 0):
        return "pass"
    loses = p < alpha and found.statistic < 0
    return "fail" if loses or found.high < least else "abstain"


def _slices(gate: Gate, pairing: Pairing, enough: bool) -> Iterator[Finding]:
    """Each slice's change, its p adjusted over the slices with enough pairs."""
    slices = pairing.slices()
    tested = {s: pairing.compare(p, gate.alpha) for s, p in slices.items() if len(p) >= gate.min_slice_items}
    p_of = dict(zip(tested, adjusted([1.0 if r.p is None else r.p for r in tested.values()]), strict=True))
    for name, pairs in slices.items():
        if name in tested:
            yield _slice(gate, name, tested[name], p_of[name], enough)
        else:
            few = f"{name}: {len(pairs)} pairs; needs {gate.min_slice_items}"
            yield Finding(check="gate.slice", about=name, verdict="abstain", severity="info", message=few, n=len(pairs))


def _slice(gate: Gate, name: str, found: Result, p: float, enough: bool) -> Finding:
    """Fail: the loss exceeds the limit and is significant. Pass: a loss of the limit is ruled out. A slice that cannot
    tell decides nothing."""
    fails = enough and -found.statistic > gate.max_slice_drop and p < gate.alpha
    holds = enough and found.low >= -gate.max_slice_drop
    return Finding(
        check="gate.slice",
        about=name,
        verdict="fail" if fails else "pass" if holds else "abstain",
        severity="high" if fails or holds else "low",
        message=f"{name} {_change(found, p)} for all slices; allows −{gate.max_slice_drop:.1%}; "
        f"{_detectable(found, gate)}",
        statistic=found.statistic,
        threshold=-gate.max_slice_drop,
        n=found.n,
        low=found.low,
        high=found.high,
        p=p,
        detectable=found.detectable,
    )


def _change(found: Result, p: float | None) -> str:
    """Change, its 95 % interval, p (adjusted, for slices)."""
    tested = "" if p is None else f" p {p:.1g}" if p > 0 else " p < 1e-300"
    return f"{found.statistic:+.1%} [{found.low:+.1%}, {found.high:+.1%}]{tested}"


def _asks(found: Result, discordance: float, gate: Gate) -> str:
    """How many items would tell: the allowed loss from none, or what was seen from what is claimed."""
    if gate.min_gain < 0:
        return (
            f"; asks for {items_asked(-gate.min_gain, discordance, gate.alpha):,} items to tell such a loss from none"
        )
    effect = abs(found.statistic - gate.min_gain) if gate.min_gain else max(0.0, found.statistic)
    needed = items_needed(effect, discordance, gate.alpha) if effect else 0
    shown = f"{found.statistic:+.1%}" if abs(found.statistic) >= 0.0005 else f"{100 * found.statistic:+.1g}%"
    told = f"tell {shown} from {gate.min_gain:+.1%}" if gate.min_gain else f"show {shown}"
    return f"; asks for {needed:,} items to {told}" if needed else ""


def items_asked(loss: float, discordance: float, alpha: float) -> int:
    """Items at which this loss fails, and equal models pass, in 8 of 10 each: those that show it in 85 of 100, since
    the test of the loss and the interval that rules it out are two (`python -m bench.gate`)."""
    return items_needed(loss, discordance, alpha, 0.85)


def _detectable(found: Result, gate: Gate) -> str:
    """The smallest change that this many pairs show with power 0.8."""
    if found.detectable is None:
        return f"{found.n} pairs can show nothing at alpha {gate.alpha:g}"
    return f"{found.n} pairs can show {found.detectable:.1%}"
