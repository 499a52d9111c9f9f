"""How well a suite's items tell models apart, over every model that was ever scored on them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whence.evaluate import by_another_tool, scored
from whence.evaluate.gates import states
from whence.records import Ref, Run
from whence.stats import Result, item_rest, power_lost
from whence.store import Store


@dataclass(frozen=True, slots=True)
class Answered:
    """Which models have which items of a suite right, each model by its newest evaluation."""

    items: tuple[str, ...]
    """those that some model was scored on"""
    right: npt.NDArray[np.float64]
    """(models, items): 0 or 1; NaN where it was not scored"""

    @classmethod
    def of(cls, store: Store, suite: Ref) -> Answered:
        """Of this version of a suite, under whatever name. A base under another prompt is another model; one asked
        another way (merged, served), or scored by another tool, is none."""
        every = (one for _, one in scored(store, suite) if not by_another_tool(store.get(one.run, Run)))
        newest = {(one.base, one.adapter or one.prompt): one for one in every}
        each = [states(store, one) for one in newest.values()]
        items = tuple(sorted({item for one in each for item, state in one.items() if state != "unscored"}))
        right = {"right": 1.0, "wrong": 0.0}
        table = [[right.get(one.get(item, ""), np.nan) for item in items] for one in each]
        return cls(items, np.array(table, np.float64).reshape(len(each), len(items)))

    def item_rest(self) -> dict[str, float]:
        """Item → how much it says of a model what the others say, −1 to 1, where that is known (`stats.item_rest`)."""
        found = item_rest(self.right)
        return {item: float(value) for item, value in zip(self.items, found, strict=True) if np.isfinite(value)}

    def lost(self, leaving: Collection[str]) -> Result | None:
        """The share of the power to tell models apart that goes with these items; None: nothing can be said
        (`stats.power_lost`)."""
        return power_lost(self.right, [item in leaving for item in self.items]) if leaving else None
