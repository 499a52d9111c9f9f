"""The rows of a step → its micro-batches, as tensors that TRL's losses read. Padding is on the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from whence.records import Json, Recipe
from whence.train.backends.tokens import IGNORED, Side, Tokenised

Tensors = dict[str, torch.Tensor]
Part = Tensors | list[dict[str, Json]]
"""What a trainer takes for one forward pass."""


class Collate:
    """``collate(examples)``: the micro-batches of a step, each padded alone; none for a step without rows."""

    def __init__(self, rows: Tokenised, recipe: Recipe, pad: int) -> None:
        self.rows, self.size, self.generations = rows, recipe.micro_batch_rows, recipe.generations or 1
        self.pad, self.max_length = pad, recipe.max_length
        self.part: Callable[[list[int], list[int]], Part] = getattr(self, recipe.method)

    def __call__(self, examples: Sequence[dict[str, int]]) -> list[Part]:
        step = [example["row"] for example in examples]
        return [self.part(step[start : start + self.size], step) for start in range(0, len(step), self.size)]

    def sft(self, numbers: list[int], step: list[int]) -> Tensors:
        """One sequence a row."""
        sides = [self.rows.sides[number][0] for number in numbers]
        return self._padded(sides) | {"labels": _filled([side.labels for side in sides], IGNORED)}

    def dpo(self, numbers: list[int], step: list[int]) -> Tensors:
        """The chosen sequences, then the rejected ones."""
        sides = [self.rows.sides[number][side] for side in (0, 1) for number in numbers]
        return self._padded(sides) | {"completion_mask": _answers(sides)}

    def reward(self, numbers: list[int], step: list[int]) -> Tensors:
        """As `dpo`; the whole sequence is scored."""
        return {name: tensor for name, tensor in self.dpo(numbers, step).items() if name != "completion_mask"}

    def orpo(self, numbers: list[int], step: list[int]) -> Tensors:
        """Chosen and rejected sequences side by side, of one width."""
        whole = self.dpo(numbers, step)
        labels = torch.where(whole.pop("completion_mask") == 1, whole["input_ids"], IGNORED)
        parts = {name: tensor.chunk(2) for name, tensor in (whole | {"labels": labels}).items()}
        return {f"{side}_{name}": parts[name][i] for i, side in enumerate(("chosen", "rejected")) for name in parts}

    def kto(self, numbers: list[int], step: list[int]) -> Tensors:
        """One sequence a row, and beside it the row's prompt with the answer of the row before it in the step (of the
        last one for the first), from which the mean log ratio is estimated."""
        sides = [self.rows.sides[number][0] for number in numbers]
        before = {number: step[i - 1] for i, number in enumerate(step)}
        strange = [self._mismatched(number, before[number]) for number in numbers]
        labels = torch.tensor([bool(self.rows.contents[number]["label"]) for number in numbers])
        own = self._padded(sides) | {"completion_mask": _answers(sides), "label": labels}
        other = self._padded(strange) | {"completion_mask": _answers(strange)}
        return own | {f"KL_{name}": tensor for name, tensor in other.items()}

    def grpo(self, numbers: list[int], step: list[int]) -> list[dict[str, Json]]:
        """Each prompt as often as answers are sampled to it."""
        prompts = [(number, self.rows.sides[number][0].ids.tolist()) for number in numbers]
        return [{"prompt": ids, "row": number} for number, ids in prompts for _ in range(self.generations)]

    def _mismatched(self, prompt: int, answer: int) -> Side:
        (asked,), (said,) = self.rows.sides[prompt], self.rows.sides[answer]
        first, start = (int(np.argmax(side.labels != IGNORED)) for side in (asked, said))
        ids = np.concatenate([asked.ids[:first], said.ids[start:]])
        labels = np.concatenate([np.full(first, IGNORED), said.labels[start:]])
        return Side(ids[: self.max_length], labels[: self.max_length])

    def _padded(self, sides: Sequence[Side]) -> Tensors:
        mask = _filled([np.ones(len(side.ids), np.int64) for side in sides], 0)
        return {"input_ids": _filled([side.ids for side in sides], self.pad), "attention_mask": mask}


def _answers(sides: Sequence[Side]) -> torch.Tensor:
    """1 where a token is learnt; shape (sequences, longest)."""
    return _filled([(side.labels != IGNORED).astype(np.int64) for side in sides], 0)


def _filled(rows: Sequence[Any], value: int) -> torch.Tensor:
    """Shape (sequences, longest); `value` after the end of the shorter ones."""
    out = torch.full((len(rows), max(map(len, rows))), value)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = torch.from_numpy(row)
    return out
