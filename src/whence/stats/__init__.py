"""Numbers in, a Result out: statistic, p, interval, n, smallest detectable change, method. Pure; reads no record."""

from whence.stats.paired import mcnemar, smallest_detectable
from whence.stats.proportion import wilson
from whence.stats.result import Result
from whence.stats.several import adjusted

__all__ = ["Result", "adjusted", "mcnemar", "smallest_detectable", "wilson"]
