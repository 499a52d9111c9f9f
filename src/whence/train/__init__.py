"""(base, snapshot, recipe) → adapter and closure, in a process of its own, on a row-keyed schedule."""

from whence.train.compare import compare
from whence.train.job import Outcome, outcome
from whence.train.plan import plan, step_of
from whence.train.run import Progress, prepare, train

__all__ = ["Outcome", "Progress", "compare", "outcome", "plan", "prepare", "step_of", "train"]
