"""Do those who judge the same things agree, beyond chance; and what is true where they do not?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whence.stats.result import Result, scipy_stats, two_sided_z

RESAMPLES = 2_000


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> Result:
    """Cohen's kappa of two judges of the same things: 0 by chance, 1 the same always (J. Cohen, Educational and
    Psychological Measurement 20, 1960, p. 37), with the interval by its large-sample error (J. L. Fleiss, J. Cohen and
    B. S. Everitt, Psychological Bulletin 72, 1969, p. 323) of its inverse hyperbolic tangent, 95 %. Where both say one
    and the same thing always, it is not known: statistic 0, interval −1 to 1. Raises ValueError where they do not match
    or for none.
    """
    if len(first) != len(second) or not first:
        raise ValueError("two judges of the same things are needed, one thing or more")
    names = {name: at for at, name in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(names), len(names)))
    np.add.at(table, ([names[one] for one in first], [names[one] for one in second]), 1)
    n = len(first)
    table /= n
    rows, columns, same = table.sum(axis=1), table.sum(axis=0), float(np.trace(table))
    chance = float(rows @ columns)
    said = "Cohen's kappa; normal interval of its artanh, 95 %"
    if chance == 1:
        return Result(statistic=0.0, low=-1.0, high=1.0, n=n, method=said)
    value = (same - chance) / (1 - chance)
    own = np.diag(table) @ (1 - (rows + columns) * (1 - value)) ** 2
    apart = (table * (rows[None, :] + columns[:, None]) ** 2).sum() - np.diag(table) @ (rows + columns) ** 2
    square = own + (1 - value) ** 2 * apart - (value - chance * (1 - value)) ** 2
    error = float(np.sqrt(max(square, 0.0) / n) / (1 - chance))
    if abs(value) > 1 - 1e-12:  # what three things of another kind would show (rule of three)
        edge = min(1.0, 3 / n / (1 - chance))
        low, high = (value - edge, 1.0) if value > 0 else (-1.0, value + edge)
        return Result(statistic=value, low=low, high=high, n=n, method=said)
    middle, half = np.arctanh(value), two_sided_z(0.95) * error / (1 - value**2)
    low, high = float(np.tanh(middle - half)), float(np.tanh(middle + half))
    return Result(statistic=value, low=low, high=high, n=n, method=said)


def favour(said: npt.ArrayLike, truth: npt.ArrayLike, own: npt.ArrayLike) -> Result:
    """How much more a judge chooses one side than its agreement with people explains: a difference of net shares, −2 to
    2.

    said, truth: of each pair what the judge and what people chose, 1 the first, −1 the second, 0 neither; own: 1 where
    the first is of that side, −1 where the second is, 0 where none is. Both are taken for signs of normal opinions of
    correlation ρ, which the pairs without that side show (sin of π/2 times the mean product). If people choose it by z
    standard deviations, a judge that does not favour it does by z ρ / r, r being how reliable people are: unknown, but
    within ρ² to 1. The interval, 95 %, by the bootstrap over pairs, 2,000 times, covers what any such r explains; p is
    that of the r that explains most; statistic: r = 1. Raises ValueError without pairs of both kinds.
    """
    j, h, side = (np.asarray(one, np.float64) for one in (said, truth, own))
    mine, others = side != 0, side == 0
    if not mine.any() or not others.any():
        raise ValueError("pairs with that side and pairs without it are needed")
    rng, n, normal = np.random.default_rng(0), int(mine.sum()), scipy_stats().norm
    chosen = np.stack([j * side, h * side])[:, mine]  # (judge and people, pairs)
    agreed = (j * h)[others]

    def unexplained(nets: npt.NDArray[np.float64], product: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(3, draws): beyond what r = 1, the r that explains least, and the one that explains most do."""
        rho = np.clip(np.sin(np.pi / 2 * product), 0.05, 1.0)
        z = normal.ppf(np.clip((1 + nets[1]) / 2, 0.5 / n, 1 - 0.5 / n))
        both = np.stack([rho * z, z / rho])
        expected = np.stack([both[0], both.min(axis=0), both.max(axis=0)])
        return np.asarray(nets[0] - (2 * normal.cdf(expected) - 1))

    value = float(unexplained(chosen.mean(axis=1)[:, None], agreed.mean()[None])[0, 0])
    drawn = chosen[:, rng.integers(n, size=(RESAMPLES, n))].mean(axis=2)
    products = agreed[rng.integers(len(agreed), size=(RESAMPLES, len(agreed)))].mean(axis=1)
    _, most, least = unexplained(drawn, products)
    below, above = float((least <= 0).mean()), float((most >= 0).mean())
    return Result(
        statistic=value,
        p=min(1.0, 2 * max(min(below, above), 1 / (1 + RESAMPLES))),
        low=float(np.quantile(least, 0.025)),
        high=float(np.quantile(most, 0.975)),
        n=n,
        method=f"beyond what agreement explains, normal opinions; bootstrap over pairs, {RESAMPLES:,} resamples, 95 %",
    )


def krippendorff(judgements: Sequence[Sequence[Hashable | None]]) -> Result:
    """Krippendorff's alpha of any number of judges for names without an order (K. Krippendorff, Content Analysis, 2004,
    chapter 11): 1 − observed / expected disagreement, with the bootstrap's interval over things, 95 %.

    judgements: of each thing what its judges say; None where one says nothing. n: things that two or more judge. Where
    all say one and the same thing, it is not known: statistic 0, interval −1 to 1. Raises ValueError for none.
    """
    units = [[one for one in unit if one is not None] for unit in judgements]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        raise ValueError("one thing or more that two judge is needed")
    names = {name: at for at, name in enumerate(dict.fromkeys(one for unit in units for one in unit))}
    counts = np.zeros((len(units), len(names)))
    for at, unit in enumerate(units):
        np.add.at(counts[at], [names[one] for one in unit], 1)
    sizes = counts.sum(axis=1)
    apart = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)

    def alpha(some: npt.NDArray[np.int64]) -> float:
        total = counts[some].sum(axis=0)
        expected = (total.sum() ** 2 - (total**2).sum()) / (total.sum() - 1)
        return 1 - float(apart[some].sum() / expected) if expected else np.nan

    rng, every = np.random.default_rng(0), np.arange(len(units))
    statistic = alpha(every)
    said = f"Krippendorff's alpha, names; bootstrap over things, {RESAMPLES:,} resamples, 95 %"
    if np.isnan(statistic):
        return Result(statistic=0.0, low=-1.0, high=1.0, n=len(units), method=said)
    again = [alpha(rng.integers(len(units), size=len(units))) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(again, [0.025, 0.975])
    return Result(statistic=statistic, low=float(low), high=float(high), n=len(units), method=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """What is most likely true, and how reliable each judge is."""

    names: tuple[Hashable, ...]
    """what may be said"""
    truth: npt.NDArray[np.float64]
    """(things, names): how likely each is true"""
    judges: npt.NDArray[np.float64]
    """(judges, names, names): how likely each judge says the second where the first is true"""
    shares: npt.NDArray[np.float64]
    """(names,): how often each is true"""


def dawid_skene(judgements: Sequence[Sequence[Hashable | None]], steps: int = 200) -> Consensus:
    """What is true and how reliable judges are, from their judgements alone, by expectation and maximisation from the
    majority (A. P. Dawid and A. M. Skene, Applied Statistics 28, 1979, p. 20).

    judgements: of each thing what each judge says, in the same order of judges; None where one says nothing. It takes
    judges to err independently of one another: three who err together outvote the truth. Raises ValueError where
    the judges' number is not the same for all, or for none.
    """
    width = {len(unit) for unit in judgements}
    if len(width) != 1 or width == {0}:
        raise ValueError("each thing needs what each of the same judges says")
    names = tuple(dict.fromkeys(one for unit in judgements for one in unit if one is not None))
    said = np.zeros((len(judgements), width.pop(), len(names)))
    for thing, unit in enumerate(judgements):
        for judge, one in enumerate(unit):
            if one is not None:
                said[thing, judge, names.index(one)] = 1
    truth = said.sum(axis=1) + 1e-9
    truth /= truth.sum(axis=1, keepdims=True)
    for _ in range(steps):
        shares = truth.mean(axis=0)
        judges = np.einsum("tn,tjm->jnm", truth, said) + 0.01
        judges /= judges.sum(axis=2, keepdims=True)
        weight = np.log(shares + 1e-12) + np.einsum("tjm,jnm->tn", said, np.log(judges))
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        before, truth = truth, weight / weight.sum(axis=1, keepdims=True)
        if abs(truth - before).max() < 1e-9:
            break
    return Consensus(names=names, truth=truth, judges=judges, shares=shares)
