"""Rewards of sampled answers that need no model: ours, and third parties' by the entry-point group
``whence.rewards``."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import entry_points

from whence.records import METHODS, BackendFailed, Json, Unmet

GROUP = "whence.rewards"
EXACT = "exact"
"""The built-in one."""

Reward = Callable[[str, Json], float]
"""``reward(answer, content)``: how good a sampled answer is to the row with this content; any finite number."""


def exact(answer: str, content: Json) -> float:
    """1.0 where the answer is the row's completion, white space around it aside; else 0.0."""
    completion = content["completion"]
    expected = completion if isinstance(completion, str) else completion[-1].get("content")
    return float(isinstance(expected, str) and answer.strip() == expected.strip())


def shapes(name: str) -> tuple[str, ...]:
    """The shapes of rows that this reward can judge; `exact` needs a completion to compare with."""
    return ("prompt_completion",) if name == EXACT else METHODS["grpo"].shapes


def load_reward(name: str) -> Reward:
    """The reward of this name, its values checked. Raises Unmet where none is installed."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name == EXACT:
        return exact
    if name not in points:
        known = ", ".join([EXACT, *sorted(points)])
        raise Unmet(f"no reward is called {name!r}", f"one of {known}", f"install the package that gives it in {GROUP}")
    return _checked(name, points[name].load())


def _checked(name: str, reward: Reward) -> Reward:
    def checked(answer: str, content: Json) -> float:
        value = float(reward(answer, content))
        if not math.isfinite(value):
            raise BackendFailed(f"the reward {name} gave {value}\n  do: make it give a finite number for every answer")
        return value

    return checked
