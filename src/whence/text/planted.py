"""Leaks made on purpose, to measure what is found of them in these very rows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from whence.text.words import split

KINDS = ("verbatim", "recased", "truncated", "embedded", "misspelt", "reworded", "reordered")
SHARE = 0.3
"""of the words that are misspelt, or have another word in their place"""


def plant(items: Sequence[str], kind: str, rows: Sequence[str], seed: int = 0, share: float = SHARE) -> list[str]:
    """Each item as it may stand in a row: `verbatim`; `recased` (case and punctuation); `truncated` (its first two
    thirds); `embedded` (between two halves of rows); `misspelt` (a letter of some words); `reworded` (other words of
    the rows in place of some); `reordered` (its clauses or halves changed over, and half as many reworded). rows: none
    of them empty."""
    draw = random.Random(f"{kind} {seed}")
    words = sorted({word for text in draw.sample(rows, min(2000, len(rows))) for word in split(text)}) or ["word"]
    return [_MADE[kind](text, draw, rows or [""], words, share) for text in items]


Made = Callable[[str, random.Random, Sequence[str], list[str], float], str]


def _verbatim(text: str, *_: object) -> str:
    return text


def _recased(text: str, draw: random.Random, *_: object) -> str:
    joined = draw.choice((" ", ", ", "  ", "\n")).join(re.findall(r"\w+", text))
    return draw.choice((joined.upper(), joined.title(), f"« {joined.lower()} »"))


def _truncated(text: str, *_: object) -> str:
    ends = [found.end() for found in _WORD.finditer(text)]
    return text[: ends[-(-2 * len(ends) // 3) - 1]] if ends else text


def _embedded(text: str, draw: random.Random, rows: Sequence[str], *_: object) -> str:
    before, after = draw.choice(rows), draw.choice(rows)
    return f"{before[: len(before) // 2]} {text} {after[len(after) // 2 :]}"


def _misspelt(text: str, draw: random.Random, _: Sequence[str], words: list[str], share: float) -> str:
    return _some(text, draw, share, lambda word: _slip(word, draw), 4)


def _reworded(text: str, draw: random.Random, _: Sequence[str], words: list[str], share: float) -> str:
    return _some(text, draw, share, lambda word: draw.choice(words), 1)


def _reordered(text: str, draw: random.Random, rows: Sequence[str], words: list[str], share: float) -> str:
    parts = [part for part in re.split(r"(?<=[.,;:!?。，；：！？])", text) if part.strip()]
    if len(parts) < 2:
        found = list(_WORD.finditer(text))
        at = found[len(found) // 2].start() if found else 0
        parts = [text[at:], text[:at]]
    else:
        parts = parts[1:] + parts[:1]
    return _reworded(" ".join(part.strip() for part in parts), draw, rows, words, share / 2)


_WORD = re.compile("[぀-ヿ㐀-鿿]|[^\\W぀-ヿ㐀-鿿]+")


def _some(text: str, draw: random.Random, share: float, other: Callable[[str], str], shortest: int) -> str:
    """The text with something else for this share of its words, of those that have so many letters."""
    found = [one for one in _WORD.finditer(text) if len(one[0]) >= shortest and not any(c.isdigit() for c in one[0])]
    picked = set(draw.sample(range(len(found)), min(len(found), round(share * len(split(text))))))
    out, at = [], 0
    for number, one in enumerate(found):
        if number in picked:
            out += [text[at : one.start()], other(one[0])]
            at = one.end()
    return "".join([*out, text[at:]])


def _slip(word: str, draw: random.Random) -> str:
    """A letter dropped, doubled, changed, or two changed over."""
    at, letters = draw.randrange(1, len(word) - 1), sorted(set(word.lower()))
    return draw.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + draw.choice(letters) + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )


_MADE: dict[str, Made] = {
    "verbatim": _verbatim,
    "recased": _recased,
    "truncated": _truncated,
    "embedded": _embedded,
    "misspelt": _misspelt,
    "reworded": _reworded,
    "reordered": _reordered,
}
