"""Which rows of a data set were really fed: the sampler says which it drew, the trainer's steps how many it took."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Fed:
    """Rows fed so far. The sampler runs in the training process even where workers read the rows."""

    def __init__(self, rows: int, loader: Any, *, processes: int, epochs_done: float, skips: bool) -> None:
        """`loader` is the trainer's, before its first epoch. epochs_done: of a run that is resumed; skips: whether it
        passes over what it has seen of the epoch it was in. Raises AttributeError, TypeError for a loader without a
        sampler, which streams."""
        self._seen = np.zeros(rows, bool)
        self._seen[:] = epochs_done >= 1
        self._drawn: list[int] = []
        self._ahead = round(epochs_done % 1 * len(loader)) if skips else 0
        self._taken = 0
        sampler = loader.batch_sampler
        while hasattr(sampler, "batch_sampler"):  # accelerate's share of one process; the one below draws for all
            sampler = sampler.batch_sampler
        self._step_rows: int = sampler.batch_size * processes
        _listen(sampler.sampler, self._drawn)

    def epoch(self) -> None:
        """An epoch begins."""
        self.note()
        if self._taken:
            self._ahead = 0
        self._drawn.clear()
        self._taken = 0

    def batch(self) -> None:
        """A batch went through the model."""
        self._taken += 1

    def note(self) -> npt.NDArray[np.bool_]:
        """Row number → whether it was fed so far. What the loader drew ahead of the last batch is not."""
        rows = (self._ahead + self._taken) * self._step_rows if self._taken else 0
        self._seen[self._drawn[:rows]] = True
        return self._seen


def _listen(sampler: Any, drawn: list[int]) -> None:
    """Let a sampler note what it draws. It stays the same object, of a class made for it that inherits from its own, so
    that nobody who asks what it is sees a difference and the order stays as it is."""
    kind = type(sampler)

    def draw(self: Any) -> Any:
        for index in kind.__iter__(self):
            drawn.append(index)
            yield index

    sampler.__class__ = type(kind.__name__, (kind,), {"__iter__": draw, "__module__": kind.__module__})
