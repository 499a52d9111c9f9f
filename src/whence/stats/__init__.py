"""Numbers in, a Result out: statistic, p, interval, n, smallest detectable change, method. Pure; reads no record."""

from whence.stats.paired import mcnemar, smallest_detectable
from whence.stats.proportion import wilson
from whence.stats.result import Result
from whence.stats.several import adjusted, few_kept
from whence.stats.twosample import changed, smallest_p

__all__ = ["Result", "adjusted", "changed", "few_kept", "mcnemar", "smallest_detectable", "smallest_p", "wilson"]
