"""Every statistic of `whence.stats`, simulated: false alarms where nothing is there, power at an effect, coverage.

    python -m bench.validity [--times 2000] [--only mcnemar wilcoxon …] [--write docs/validity.md]

A line fails where false alarms are more, or coverage less, than a binomial of the nominal level gives once in a
thousand; the command then exits with 1. Fewer false alarms than alpha are no fault: exact tests are conservative.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from bench.machine import describe
from whence import stats
from whence.stats.result import reach

ALPHA, SURE = 0.05, 0.001
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """One statistic in one setting. Each function simulates it once and says whether it happened; None: not claimed."""

    name: str
    setting: str
    alarm: Callable[[Rng], bool] | None = None
    """nothing is there: is it called significant at 5 %?"""
    shown: Callable[[Rng], bool] | None = None
    """the effect is there: is it?"""
    power: float | None = None
    """how often it should be, where that is stated"""
    covers: Callable[[Rng], bool] | None = None
    """does the interval of 95 % hold the truth?"""
    slower: int = 1
    """how many times fewer simulations it gets"""


def significant(found: stats.Result) -> bool:
    return found.p is not None and found.p <= ALPHA


def within(found: stats.Result, truth: float) -> bool:
    return found.low - 1e-12 <= truth <= found.high + 1e-12


def moved(rng: Rng, n: int, discordance: float, difference: float) -> tuple[int, int, int]:
    """(gained, lost, n) of pairs."""
    gained, lost, _ = rng.multinomial(
        n, [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    )
    return int(gained), int(lost), n


def paired() -> Iterator[Case]:
    for n, discordance in ((100, 0.3), (400, 0.2), (3000, 0.1)):
        effect = stats.smallest_detectable(n, discordance) or 1.0
        yield Case(
            "mcnemar", f"{n} items, {discordance:.0%} differ; effect {effect:+.1%}",
            lambda r, n=n, d=discordance: significant(stats.mcnemar(*moved(r, n, d, 0))),
            lambda r, n=n, d=discordance, e=effect: significant(stats.mcnemar(*moved(r, n, max(d, e), e))), 0.8,
            lambda r, n=n, d=discordance, e=effect: within(stats.mcnemar(*moved(r, n, d, e / 2)), e / 2),
        )  # fmt: skip
    for name, test in (("noninferior", stats.noninferior), ("equivalent", stats.equivalent)):
        for n, discordance in ((400, 0.2), (3000, 0.1)):
            margin = test(*expected(n, discordance), 0.5).detectable or 0.5
            yield Case(
                name, f"{n} items, {discordance:.0%} differ, margin {margin:.1%}; effect: equal",
                lambda r, t=test, n=n, d=discordance, m=margin: significant(t(*moved(r, n, d, -m), m)),
                lambda r, t=test, n=n, d=discordance, m=margin: significant(t(*moved(r, n, d, 0), m)), 0.8,
            )  # fmt: skip
    for n in (10, 100):
        effect = stats.wilcoxon(scipy_stats.norm.ppf((np.arange(n) + 0.5) / n)).detectable or 1.0
        yield Case(
            "wilcoxon", f"{n} normal differences; effect {effect:.2f} SD",
            lambda r, n=n: significant(stats.wilcoxon(r.standard_normal(n))),
            lambda r, n=n, e=effect: significant(stats.wilcoxon(r.standard_normal(n) + e)), 0.8,
            lambda r, n=n: within(stats.wilcoxon(r.standard_t(3, n) + 1), 1.0),
        )  # fmt: skip
    for n in (12, 50, 300):
        effect = stats.paired_mean(scipy_stats.norm.ppf((np.arange(n) + 0.5) / n), 99).detectable or 1.0
        yield Case(
            "paired_mean", f"{n} differences, t with 5 degrees; effect {effect:.2f} SD; interval of exponential ones",
            lambda r, n=n: significant(stats.paired_mean(r.standard_t(5, n), 999)),
            lambda r, n=n, e=effect: significant(stats.paired_mean(r.standard_normal(n) + e, 999)), 0.8,
            None if n < 50 else lambda r, n=n: within(stats.paired_mean(r.exponential(1, n), 999), 1.0),
        )  # fmt: skip


def expected(n: int, discordance: float) -> tuple[int, int, int]:
    return round(n * discordance / 2), round(n * discordance / 2), n


def several() -> Iterator[Case]:
    def alarms(adjust: Any, true: int) -> Callable[[Rng], bool]:
        """Whether one of 20 tests, of which some have something to find, is called falsely."""

        def once(r: Rng) -> bool:
            z = r.standard_normal(20) + np.repeat([3.0, 0.0], (true, 20 - true))
            return any(p <= ALPHA for p in adjust((2 * scipy_stats.norm.sf(abs(z))).tolist())[true:])

        return once

    yield Case("holm", "20 tests, none true", alarms(stats.holm, 0))
    yield Case("holm", "20 tests, 8 true by 3 SD: any false call", alarms(stats.holm, 8))
    yield Case("adjusted", "20 tests, none true (Benjamini-Hochberg)", alarms(stats.adjusted, 0))
    yield Case(
        "few_kept", "slice of 60 among 1,000, 700 kept; effect: 45 % of it",
        lambda r: stats.few_kept(float(r.hypergeometric(60, 940, 700)), 60, 700, 1000) <= ALPHA,
        lambda r: stats.few_kept(float(r.binomial(60, 0.45)), 60, 700, 1000) <= ALPHA,
    )  # fmt: skip

    def best(r: Rng, better: float) -> bool:
        """Of 27 variants, .70 of 200 items right each, one of them `better`: the truth of the best in the interval?"""
        share = np.full(27, 0.7) + np.repeat([better, 0.0], (1, 26))
        return within(stats.best_of(r.random((27, 200)) < share[:, None]), float(share.max()))

    yield Case("best_of", "27 equal variants, 200 items", covers=lambda r: best(r, 0.0), slower=4)
    yield Case("best_of", "27 variants, one 15 points better", covers=lambda r: best(r, 0.15), slower=4)


def looks() -> Iterator[Case]:
    bounds = np.array(stats.planned_looks([0.2, 0.4, 0.6, 0.8, 1.0]))

    def crossed(r: Rng, drift: float) -> bool:
        walk = np.cumsum(r.normal(drift * 0.2, sqrt(0.2), 5)) / np.sqrt([0.2, 0.4, 0.6, 0.8, 1.0])
        return bool((2 * scipy_stats.norm.sf(abs(walk)) <= bounds).any())

    yield Case(
        "planned_looks",
        "5 looks; effect: what one look shows in 80 %",
        lambda r: crossed(r, 0),
        lambda r: crossed(r, 2.8),
    )

    def series(r: Rng, difference: float) -> stats.Result:
        """50 looks at 20 items more each."""
        d = 0.3
        counts = r.multinomial(20, [(d + difference) / 2, (d - difference) / 2, 1 - d], size=50).cumsum(axis=0)
        return stats.at_any_time(*(counts[:, i].tolist() for i in (0, 1)), (20 * np.arange(1, 51)).tolist())

    effect = stats.at_any_time([150], [150], [1000]).detectable or 1.0
    yield Case(
        "at_any_time", f"50 looks at 20 items more; effect {effect:.1%} at the last",
        lambda r: significant(series(r, 0)), lambda r: significant(series(r, effect)), 0.8,
        lambda r: within(series(r, effect), effect),
    )  # fmt: skip

    def always(r: Rng) -> bool:
        x = r.beta(2, 5, 400)
        return all(low <= 2 / 7 <= high for low, high in (stats.bounded_mean(x[:n], 0, 1) for n in range(5, 401, 5)))

    yield Case("bounded_mean", "400 values, at all of 80 looks", covers=always, slower=4)


def trend() -> Iterator[Case]:
    for n in (10, 30):
        effect = float(reach(n - 2) / np.sqrt(3 / np.pi * (n**3 - n) / 12))
        yield Case(
            "mann_kendall", f"{n} values; effect {effect:.2f} SD a step",
            lambda r, n=n: significant(stats.mann_kendall(r.standard_normal(n))),
            lambda r, n=n, e=effect: significant(stats.mann_kendall(r.standard_normal(n) + e * np.arange(n))), 0.8,
            lambda r, n=n: within(stats.mann_kendall(r.standard_normal(n) + 0.1 * np.arange(n)), 0.1),
        )  # fmt: skip
    yield Case(
        "cusum", "100 values; effect: 1 SD more from the 81st on",
        lambda r: significant(stats.cusum(r.standard_normal(100), 0, 1)),
        lambda r: significant(stats.cusum(r.standard_normal(100) + np.repeat([0, 1.0], (80, 20)), 0, 1)),
        slower=4,
    )  # fmt: skip


def pools() -> Iterator[Case]:
    def alarm(r: Rng, rise: float, n: int = 6000) -> bool:
        """At any of the looks after each of six cycles?"""
        gate, fresh = r.binomial(n, 0.7 + rise * np.arange(6)), r.binomial(n, 0.7, 6)
        each = [[(int(x), n) for x in series] for series in (gate, fresh)]
        return any(significant(stats.widening(each[0][:k], each[1][:k])) for k in range(2, 7))

    def rising(r: Rng) -> bool:
        """Five cycles of 500 items, in which one rises by 3 points a cycle and the other by one."""
        each = [[(int(r.binomial(500, s + d * k)), 500) for k in range(5)] for s, d in ((0.6, 0.03), (0.7, 0.01))]
        return within(stats.widening(*each), 0.02)

    yield Case(
        "widening", "six cycles of 6,000 and 6,000 items, looked at after each; effect: 1.5 points a cycle",
        lambda r: alarm(r, 0), lambda r: alarm(r, 0.015),
        covers=rising,
    )  # fmt: skip


def shares() -> Iterator[Case]:
    for n, share in ((20, 0.1), (100, 0.5), (500, 0.02)):
        yield Case(
            "wilson", f"{n} items, {share:.0%} right",
            covers=lambda r, n=n, s=share: within(stats.wilson(int(r.binomial(n, s)), n), s),
        )  # fmt: skip

    def lasted(r: Rng) -> bool:
        ends, until = r.exponential(1, 80), r.uniform(0, 2, 80)
        return within(stats.kaplan_meier(np.minimum(ends, until), ends <= until, 0.7), float(np.exp(-0.7)))

    yield Case("kaplan_meier", "80 things, 43 % not ended", covers=lasted)

    def sure(r: Rng, n: int, power: float) -> tuple[Any, Any]:
        p = r.beta(2, 1, n)
        return p, r.random(n) < p**power

    yield Case(
        "calibration_error", "300 answers; effect: right with p²; interval there",
        lambda r: significant(stats.calibration_error(*sure(r, 300, 1))),
        lambda r: significant(stats.calibration_error(*sure(r, 300, 2))),
        covers=lambda r: within(stats.calibration_error(*sure(r, 300, 2)), 2 / 3 - 1 / 2), slower=10,
    )  # fmt: skip
    yield Case("brier", "300 answers", covers=lambda r: within(stats.brier(*sure(r, 300, 1)), 2 / 3 - 1 / 2))


def judges() -> Iterator[Case]:
    def both(r: Rng, n: int, same: float) -> tuple[list[int], list[int]]:
        """Two judges of names with shares .5, .3, .2 that agree beyond chance with this kappa."""
        first = r.choice(3, n, p=[0.5, 0.3, 0.2])
        return first.tolist(), np.where(r.random(n) < same, first, r.choice(3, n, p=[0.5, 0.3, 0.2])).tolist()

    for n in (30, 200):
        yield Case(
            "kappa", f"{n} things, three names, kappa .6",
            covers=lambda r, n=n: within(stats.kappa(*both(r, n, 0.6)), 0.6),
        )  # fmt: skip
    yield Case(
        "krippendorff", "200 things, three names, alpha .6",
        covers=lambda r: within(stats.krippendorff([*zip(*both(r, 200, 0.6), strict=True)]), 0.6), slower=10,
    )  # fmt: skip

    def favoured(r: Rng, better: float, more: float) -> bool:
        """A judge and people of 400 pairs, a half with one of its own, which is better by so much and liked by more."""
        own = r.choice([-1, 1, 0, 0], 400)
        true = r.normal(0, 1.4, 400) + better * own
        people, judge = true + r.normal(0, 0.7, 400), true + more * own + r.normal(0, 1, 400)
        found = stats.favour(np.sign(judge), np.sign(people), own)
        return significant(found) and found.statistic > 0

    for better in (0.0, -0.7):
        yield Case(
            "favour", f"400 pairs, its own better by {better}; effect: liked by 0.9 more",
            lambda r, b=better: favoured(r, b, 0), lambda r, b=better: favoured(r, b, 0.9), slower=10,
        )  # fmt: skip

    def outvoted(r: Rng) -> bool:
        """Five judges of 200 things, two good and three poor: more right than by the majority?"""
        truth = r.integers(0, 3, 200)
        said = [np.where(r.random(200) < good, truth, r.integers(0, 3, 200)) for good in (0.9, 0.85, 0.3, 0.2, 0.2)]
        told = stats.dawid_skene([*zip(*(one.tolist() for one in said), strict=True)])
        best = np.array(told.names)[told.truth.argmax(axis=1)]
        most = scipy_stats.mode(np.array(said)).mode
        return bool((best == truth).sum() > (most == truth).sum())

    yield Case("dawid_skene", "2 good judges, 3 poor: better than the majority", shown=outvoted, slower=10)


def lines() -> Iterator[Case]:
    def moves(r: Rng, n: int, slope: float) -> stats.Result:
        """With something else that goes with x held fixed, and noise that grows with x."""
        other = r.standard_normal(n)
        x = other + r.standard_normal(n)
        return stats.slope(slope * x + other + r.standard_normal(n) * (0.5 + abs(x)), x, other)

    for n in (30, 200):
        effect = 2.8 * 2.5 / sqrt(n)
        yield Case(
            "slope", f"{n} things, another held fixed, noise that grows; effect {effect:.2f}",
            lambda r, n=n: significant(moves(r, n, 0)), lambda r, n=n, e=effect: significant(moves(r, n, e)),
            covers=lambda r, n=n: within(moves(r, n, 0.5), 0.5),
        )  # fmt: skip

    def choices(r: Rng) -> stats.Result:
        return stats.slope(r.choice([-1, -0.5, 0, 0.5, 1], 40, p=[0.1, 0.2, 0.4, 0.2, 0.1]), np.ones(40))

    yield Case("slope", "the mean of 40 choices", lambda r: significant(choices(r)))


def samples() -> Iterator[Case]:
    def changes(r: Rng, n: int, more: float) -> list[int]:
        """Of n items: 20 % gained and 20 % lost, or so many more gained and half as many fewer lost."""
        return r.choice([-1, 0, 1], n, p=[0.2 - more / 2, 0.6 - more / 2, 0.2 + more]).tolist()

    for few, many in ((12, 188), (4, 5)):
        yield Case(
            "apart", f"changes of {few} and {many} items; effect: 45 points more",
            lambda r, a=few, b=many: significant(stats.apart(changes(r, a, 0), changes(r, b, 0))),
            lambda r, a=few, b=many: significant(stats.apart(changes(r, a, 0.3), changes(r, b, 0))),
            covers=lambda r, a=few, b=many: within(stats.apart(r.normal(0.5, 1, a), r.normal(0, 2, b)), 0.5), slower=10,
        )  # fmt: skip

    def told(r: Rng, shift: float) -> bool:
        return significant(stats.told_apart(r.standard_normal((60, 10)), r.standard_normal((90, 10)) + shift))

    yield Case(
        "told_apart",
        "60 and 90 rows, 10 features; effect .3 SD in each",
        lambda r: told(r, 0),
        lambda r: told(r, 0.3),
        slower=4,
    )

    def answers(r: Rng, shift: float) -> bool:
        found = []
        for _ in range(12):
            x = np.concatenate([r.standard_normal((3, 2)), r.standard_normal((3, 2)) + shift])
            found.append(np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2)))
        return significant(stats.changed(found, [3] * 12))

    yield Case(
        "changed",
        "12 questions, 3 answers each time; effect .7 SD",
        lambda r: answers(r, 0),
        lambda r: answers(r, 0.7),
        slower=10,
    )


def releases() -> Iterator[Case]:
    from whence.lifecycle.validity import verdict_of

    def pairs(r: Rng, n: int, rho: float) -> tuple[Any, Any]:
        """Normal pairs with this rank correlation."""
        linear = 2 * np.sin(np.pi * rho / 6)
        x = r.standard_normal(n)
        return x, linear * x + sqrt(1 - linear**2) * r.standard_normal(n)

    for n in (6, 12, 30):
        effect = stats.spearman(range(n), range(n)).detectable or 1.0
        yield Case(
            "spearman", f"{n} releases; effect {effect:.2f}; interval of .6",
            lambda r, n=n: significant(stats.spearman(*pairs(r, n, 0))),
            lambda r, n=n, e=effect: significant(stats.spearman(*pairs(r, n, e))), 0.8,
            lambda r, n=n: within(stats.spearman(*pairs(r, n, 0.6)), 0.6), slower=2,
        )  # fmt: skip
    yield Case(
        "spearman", "20 releases, `eval.validity` fails at a correlation of .3; effect: −.6",
        lambda r: verdict_of(stats.spearman(*pairs(r, 20, 0.3))) == "fail",
        lambda r: verdict_of(stats.spearman(*pairs(r, 20, -0.6))) == "fail", slower=2,
    )  # fmt: skip

    def lost(r: Rng, models: int) -> bool:
        """200 items, of which 12 that tell twice as well leave."""
        rng = np.random.default_rng(7)
        level, slope = rng.normal(0.8, 1.2, 200), np.repeat([1.6, 0.8], (12, 188))
        share = 1 / (1 + np.exp(-(level + slope * r.standard_normal((models, 1)))))
        told = stats.power_lost(r.random(share.shape) < share, np.arange(200) < 12)
        return told is None or within(told, TWELVE)

    for models in (5, 8, 20):
        yield Case("power_lost", f"{models} models, 12 of 200 items", covers=lambda r, m=models: lost(r, m), slower=2)


TWELVE = 0.1441
"""what 120,000 such models lose with the twelve"""


def cases() -> list[Case]:
    every = (paired, several, looks, trend, pools, shares, judges, lines, samples, releases)
    return [case for part in every for case in part()]


@dataclass(frozen=True)
class Line:
    """What came of a case."""

    case: Case
    times: int
    alarms: float | None
    power: float | None
    coverage: float | None

    def faults(self) -> list[str]:
        """What does not hold."""
        out = []
        if (
            self.alarms is not None
            and scipy_stats.binom.sf(round(self.alarms * self.times) - 1, self.times, ALPHA) < SURE
        ):
            out.append("too many alarms")
        if (
            self.coverage is not None
            and scipy_stats.binom.cdf(round(self.coverage * self.times), self.times, 0.95) < SURE
        ):
            out.append("covers too seldom")
        return out


def simulate(case: Case, times: int) -> Line:
    """The same for the same number of times."""
    times = max(1, times // case.slower)

    def often(work: Callable[[Rng], bool] | None, seed: int) -> float | None:
        return None if work is None else sum(work(np.random.default_rng((seed, t))) for t in range(times)) / times

    return Line(case, times, often(case.alarm, 1), often(case.shown, 2), often(case.covers, 3))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--only", nargs="+", help="statistics")
    parser.add_argument("--write", type=Path, help="a page with the marks <!-- validity --> and <!-- /validity -->")
    args = parser.parse_args()
    begun, bad = time.process_time(), 0
    lines = [
        "| statistic | setting | times | false alarms at 5 % | power | coverage of 95 % | |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for case in cases():
        if args.only and case.name not in args.only:
            continue
        line = simulate(case, args.times)
        told = [f"{one:.1%}" if one is not None else "–" for one in (line.alarms, line.power, line.coverage)]
        told[1] += f" of {case.power:.0%}" if case.power else ""
        lines.append(
            f"| `{case.name}` | {case.setting} | {line.times:,} | {' | '.join(told)} | {', '.join(line.faults())} |"
        )
        bad += bool(line.faults())
        print(lines[-1], flush=True)
    head = f"`python -m bench.validity --times {args.times}` · {describe()} · {time.process_time() - begun:.0f} CPU s"
    if args.write:
        text = args.write.read_text(encoding="utf-8")
        made = "\n".join([head, "", *lines])
        marked = re.sub(
            r"(<!-- validity -->\n).*(\n<!-- /validity -->)", lambda m: f"{m[1]}{made}{m[2]}", text, flags=re.S
        )
        args.write.write_text(marked, encoding="utf-8")
    print(f"\n{head}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
