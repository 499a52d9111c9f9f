"""What a recipe's ``method`` is: the rows it takes, its parameters, and whether a row's loss is its own.

In training, code reads this table; docs/training.md and a run's facts are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from whence.records.canonical import Json

PARAMETERS = ("beta", "generations", "answer_tokens", "reward")
"""Fields of a recipe that only some methods read; absent in the others."""

LEAST = {"generations": 2, "answer_tokens": 1}
"""One answer alone has nothing to be held against."""

STEP_ONLY = "a step is still a function of its own rows and the seed, so training again without a row is exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to train."""

    shapes: tuple[str, ...]
    """shapes of rows that it takes; others are not fed, reason ``shape``"""
    reads: Literal["turns", "pair", "label", "prompt"]
    """what it looks at in a row: the assistant's turns, chosen against rejected, an answer and its label, or the prompt
    alone, to which it samples answers"""
    loss: str
    """what a row adds to its step's sum"""
    divisor: str
    """what is counted for the schedule's divisor: tokens or rows"""
    row_local: bool
    """whether what a row adds depends on nothing but the row and the weights"""
    exact_replay: bool
    """whether training again without some rows, from a checkpoint before their first step, is promised to end with
    the bytes of a training that never had them"""
    why: str
    """the reason for the two answers"""
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)
    """those of `PARAMETERS` that it reads → default"""
    answers: bool = True
    """whether the adapter makes the base answer; else it scores, and is not served"""


METHODS: dict[str, Method] = {
    "sft": Method(
        shapes=("chat", "prompt_completion"),
        reads="turns",
        loss="cross-entropy, summed over the tokens that the assistant says",
        divisor="tokens",
        row_local=True,
        exact_replay=True,
        why="a sum over the row's own tokens",
    ),
    "dpo": Method(
        shapes=("preference",),
        reads="pair",
        loss="-log sigmoid(beta · (chosen − rejected)), each the answer's log-probability less that under the base",
        divisor="rows",
        row_local=True,
        exact_replay=True,
        why="a function of the row's own pair",
        parameters={"beta": 0.1},
    ),
    "orpo": Method(
        shapes=("preference",),
        reads="pair",
        loss="mean cross-entropy of the chosen answer − beta · log sigmoid(log odds ratio of chosen and rejected)",
        divisor="rows",
        row_local=True,
        exact_replay=True,
        why="a function of the row's own pair; the cross-entropy is averaged a row, not a batch",
        parameters={"beta": 0.1},
    ),
    "reward": Method(
        shapes=("preference",),
        reads="pair",
        loss="-log sigmoid(score of chosen − score of rejected)",
        divisor="rows",
        row_local=True,
        exact_replay=True,
        why="a function of the row's own pair",
        answers=False,
    ),
    "kto": Method(
        shapes=("rated",),
        reads="label",
        loss="1 − sigmoid(± beta · (log ratio of the answer to the base − mean log ratio of mismatched pairs))",
        divisor="rows",
        row_local=False,
        exact_replay=True,
        why="each loss is held against the other answers of its micro-batch, so a row's share changes with its mates; "
        + STEP_ONLY,
        parameters={"beta": 0.1},
    ),
    "grpo": Method(
        shapes=("prompt_completion", "prompt"),
        reads="prompt",
        loss="-advantage of each sampled answer within its row's group, a mean over the answer's tokens",
        divisor="rows",
        row_local=False,
        exact_replay=False,
        why="answers are sampled from a stream that the rows of a micro-batch share, and a reward from elsewhere need "
        "not give the same value twice",
        parameters={"generations": 4, "answer_tokens": 64, "reward": "exact"},
    ),
}


def parameter_faults(method: str, given: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """(parameter, what is wrong) for those that the method does not read, those that it needs and has not got, and
    those that are too small."""
    reads = METHODS[method].parameters
    for name in PARAMETERS:
        value = given.get(name)
        if value is not None and name not in reads:
            yield name, f"is not read by method {method}"
        elif value is None and name in reads:
            yield name, f"is missing; method {method} reads it"
        elif value is not None and name in LEAST and not value >= LEAST[name]:
            yield name, f"is {value}, at least {LEAST[name]} is needed"
        elif name == "beta" and value is not None and not value > 0:
            yield name, f"is {value}, more than 0 is needed"
