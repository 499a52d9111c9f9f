"""What many texts are about, as counts that can be added, and which of several such profiles a new text is most like.

Multinomial naive Bayes (McCallum and Nigam, 1998) over words and four-letter pieces, hashed. Counts are whole numbers
and each text adds its own, so the profile of the texts that stay is what it would be had the others never been there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from whence.text.normal import normalise

BUCKETS = 2**14
PIECE = 4
"""letters of a piece"""
SMOOTHING = 0.1
"""added to each count (Lidstone)"""


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts over texts."""

    counts: npt.NDArray[np.int64]
    """occurrences of each feature; shape (BUCKETS,)"""
    texts: int
    """that were counted"""

    def to_json(self) -> str:
        """Sparse and sorted: the same counts are the same text."""
        found = {int(i): int(self.counts[i]) for i in np.flatnonzero(self.counts)}
        return json.dumps({"buckets": BUCKETS, "texts": self.texts, "counts": list(map(list, found.items()))})

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """Raises ValueError for anything else."""
        said = json.loads(text)
        if said["buckets"] != BUCKETS:
            raise ValueError(f"a profile of {said['buckets']} buckets, expected {BUCKETS}")
        counts = np.zeros(BUCKETS, np.int64)
        for bucket, count in said["counts"]:
            counts[bucket] = count
        return cls(counts, int(said["texts"]))


def wanted(messages: Sequence[dict[str, Any]]) -> str:
    """What a conversation asks, normalised: every turn of the user."""
    return normalise(" ".join(_text(turn.get("content")) for turn in messages if turn.get("role") == "user"))


def _text(content: Any) -> str:
    """Of a turn: text, or a list of parts of which some are text."""
    if isinstance(content, list):
        return " ".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) else ""


def profile(normalised: Iterable[str]) -> Profile:
    """Of texts as `normalise` gives them."""
    counts, texts = np.zeros(BUCKETS, np.int64), 0
    for text in normalised:
        texts += 1
        np.add.at(counts, list(_features(text)), 1)
    return Profile(counts, texts)


class Likeness:
    """Which of some profiles a text is most like."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self._counts = [one.counts for one in profiles]
        texts = sum(one.texts for one in profiles) + len(profiles)
        weights = [math.log((one.texts + 1) / texts) for one in profiles]
        self._prior = np.array(weights), np.log([one.counts.sum() + SMOOTHING * BUCKETS for one in profiles])

    def most(self, normalised: str) -> int:
        """The number of the profile; of equally likely ones the first."""
        found = list(_features(normalised))
        prior, totals = self._prior
        seen = np.log(np.stack([counts[found] for counts in self._counts]) + SMOOTHING)
        return int((seen.sum(1) - len(found) * totals + prior).argmax())


def told_apart(ours: Sequence[str], others: Sequence[str]) -> float:
    """How well what one side asks is told from the other's: informedness (Youden's J), 1 always, 0 no better than a
    coin; each text is taken out of its profile before it is asked about. NaN where a side has no texts."""
    if not ours or not others:
        return math.nan
    both = profile(ours), profile(others)
    found = 0.0
    for side, texts in enumerate((ours, others)):
        for text in texts:
            less = [*both]
            less[side] = Profile(both[side].counts - profile([text]).counts, both[side].texts - 1)
            found += (Likeness(less).most(text) == side) / len(texts)
    return found - 1


def _features(text: str) -> Iterator[int]:
    for word in text.split():
        yield crc32(word.encode()) % BUCKETS
        padded = f" {word} "
        for start in range(len(padded) - PIECE + 1):
            yield crc32(padded[start : start + PIECE].encode()) % BUCKETS
