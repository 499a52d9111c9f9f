"""GRPO: answers are sampled and rewarded. A file of its own, as its trainer's imports take a second and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trl import GRPOTrainer

from whence.records import Recipe
from whence.train.backends.keyed import KeyedByRow
from whence.train.backends.tokens import Tokenised
from whence.train.rewards import load_reward


class KeyedGRPO(KeyedByRow, GRPOTrainer):
    """Answers are sampled for each micro-batch, under its seed, and used once."""

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return prompts, None, {}


def rewards(recipe: Recipe, rows: Tokenised) -> Callable[..., list[float]]:
    """The recipe's reward as the trainer calls it: of each answer, told by the number of its row."""
    reward = load_reward(str(recipe.reward))

    def judge(completions: list[str], row: list[int], **_: Any) -> list[float]:
        return [reward(said, rows.contents[number]) for said, number in zip(completions, row, strict=True)]

    return judge
