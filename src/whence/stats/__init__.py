"""Numbers in, a Result out: statistic, p, interval, n, smallest detectable change, method. Pure; reads no record."""

from whence.stats.agreement import Consensus, dawid_skene, favour, kappa, krippendorff
from whence.stats.association import spearman
from whence.stats.calibration import brier, calibration_error
from whence.stats.discrimination import item_rest, power_lost, reliability
from whence.stats.linear import slope
from whence.stats.looks import at_any_time, bounded_mean, planned_looks
from whence.stats.paired import (
    equivalent,
    items_needed,
    mcnemar,
    noninferior,
    paired_mean,
    smallest_detectable,
    wilcoxon,
)
from whence.stats.proportion import wilson
from whence.stats.result import Result
from whence.stats.selection import best_of
from whence.stats.several import adjusted, few_kept, holm
from whence.stats.survival import kaplan_meier
from whence.stats.trend import cusum, mann_kendall, widening
from whence.stats.twosample import apart, changed, smallest_p, told_apart

__all__ = [
    "Consensus",
    "Result",
    "adjusted",
    "apart",
    "at_any_time",
    "best_of",
    "bounded_mean",
    "brier",
    "calibration_error",
    "changed",
    "cusum",
    "dawid_skene",
    "equivalent",
    "favour",
    "few_kept",
    "holm",
    "item_rest",
    "items_needed",
    "kaplan_meier",
    "kappa",
    "krippendorff",
    "mann_kendall",
    "mcnemar",
    "noninferior",
    "paired_mean",
    "planned_looks",
    "power_lost",
    "reliability",
    "slope",
    "smallest_detectable",
    "smallest_p",
    "spearman",
    "told_apart",
    "widening",
    "wilcoxon",
    "wilson",
]
