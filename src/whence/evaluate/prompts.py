"""The fixed grid of prompts, and how a prompt puts an item to a model.

0, 2 and 4 worked examples times two templates: *bare*, the item alone, and *instructed*, with a system text that lists
the suite's labels. Everything in a prompt comes from the dev suite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from whence.records import Item, Json, Prompt, Ref, Shot, Suite, digest, encode

SHOTS = (0, 2, 4)
"""Worked examples in the prompts of the grid."""


def grid(suite: Suite, ref: Ref, items: Sequence[Item]) -> list[Prompt]:
    """The prompts to choose from, the plainest first: fewer shots, then bare before instructed.

    A suite without labels has no instructed template. One whose expected values are no answers (a pattern, a schema)
    has no shots, and a number of shots that would leave no item to score is left out.
    """
    texts = {"bare": ""} | ({"instructed": instruction(suite.labels)} if suite.labels else {})
    able = [item for item in items if item.expected is not None]
    shots = spread(able, max(SHOTS)) if suite.scorer in ("label", "exact", "judge") else []
    return [
        Prompt(template=name, text=text, shots=tuple(Shot(suite=ref, item=item.id) for item in shots[:count]))
        for count in SHOTS
        if count == 0 or (count <= len(shots) and count < len(able))
        for name, text in texts.items()
    ]


def instruction(labels: Sequence[str]) -> str:
    """The system text of the instructed template."""
    return "\n".join(["Reply with exactly one of these labels and nothing else:", *labels])


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items over as many expected values as there are, whatever order the items come in."""
    seen: Counter[bytes] = Counter()
    ranked = []
    for item in sorted(items, key=digest):
        answer = encode(item.expected)
        ranked.append((seen[answer], item))
        seen[answer] += 1
    return [item for _, item in sorted(ranked, key=lambda pair: pair[0])[:count]]


def shown(item: Item, shots: Sequence[Item]) -> bool:
    """Whether the item, or another with the same input, is one of the shots: the prompt then holds its answer."""
    return any(item.input == shot.input for shot in shots)


def messages(prompt: Prompt, shots: Sequence[Item], item: Item) -> list[Json]:
    """The conversation to be continued: one system turn at most, the shots (the prompt's, in its order), the item."""
    opening, asked = _split(item)
    system = "\n\n".join(text for text in (prompt.text, *opening) if text)
    turns = [{"role": "system", "content": system}] if system else []
    for shot in shots:
        turns += [*_split(shot)[1], {"role": "assistant", "content": shot.expected}]
    return turns + asked


def _split(item: Item) -> tuple[list[str], list[Json]]:
    """The texts of the item's leading system turns, and its other turns."""
    turns = [{"role": "user", "content": item.input}] if isinstance(item.input, str) else list(item.input)
    opening = list(takewhile(lambda turn: turn["role"] == "system" and isinstance(turn.get("content"), str), turns))
    return [turn["content"] for turn in opening], turns[len(opening) :]
