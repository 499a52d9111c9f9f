"""Which stored rows are the rows that a trainer fed: by the same texts, else by their texts inside what was fed.

Texts are compared without white space. What a trainer fed may carry more than a row's texts (a chat template, an
instruction around them), less (it was cut), or several rows (it was packed). Rows that could be in such a text are
found by blocks of it, of which each row has its rarest in an index. What is left of a cut row counts only where no
other row begins, or ends, the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from whence.records import Json, texts

BLOCK = 24
"""Characters of a block. A row whose texts are all shorter is looked for by the longest of them."""
SHARED = 50
"""Rows with one first block, at most, that are looked for by it: of a row that was cut early little more is left."""
AROUND = 32
"""Characters that a template may put around one text of a row shorter than a block."""
BEGINS = 8
"""Characters by which the cut beginning of a text is looked for."""


@dataclass(frozen=True, slots=True)
class Held:
    """A stored row that may have been fed."""

    ordinal: int
    record: str
    """id in its source"""
    sides: tuple[tuple[str, ...], ...]
    """squeezed texts; of a preference those with the chosen and those with the rejected answer"""


@dataclass(frozen=True, slots=True)
class Match:
    """A stored row in a fed one."""

    ordinal: int
    whole: bool
    """False: it was cut"""


@dataclass(slots=True)
class _Alike:
    """Rows of the same texts; each is taken once before one is taken again."""

    rows: list[Held] = field(default_factory=list)
    taken: int = 0

    def take(self, record: str | None) -> Held:
        """The one of this id, else the next."""
        for held in self.rows if record is not None else ():
            if held.record == record:
                return held
        self.taken += 1
        return self.rows[(self.taken - 1) % len(self.rows)]


class Matcher:
    """Stored rows, looked for in fed ones."""

    def __init__(self, rows: Iterable[tuple[int, str, Json]]) -> None:
        """rows: (ordinal, record id, content) of each."""
        self._by_key: dict[tuple[Json, ...], _Alike] = {}
        self._held: list[Held] = []
        for ordinal, record, content in rows:
            sides = _sides(content)
            held = Held(ordinal, record, sides)
            self._held.append(held)
            for key in _keys(content, sides):
                self._by_key.setdefault(key, _Alike()).rows.append(held)
        self._blocks: dict[str, list[Held]] | None = None

    def find(self, row: Json, *, record: str | None = None, cut: bool = False, packed: bool = False) -> list[Match]:
        """The rows in this one. record: the id that it had, where one is known; cut: it reached the greatest length;
        packed: it may hold several rows and begin and end inside of one."""
        sides = _sides(row)
        same = self._by_key.get(_keys(row, sides)[0])
        if same:
            return [Match(same.take(record).ordinal, not cut)]
        fed = ["".join(side) for side in sides]
        found: dict[str, list[Held]] = {}
        for held in self._candidates(fed[0]):
            how = _inside(held.sides, fed, cut, packed)
            if how:
                found.setdefault(how, []).append(held)
        whole = found.pop("whole", [])
        if not packed and whole:
            longest = max(whole, key=lambda held: sum(map(len, held.sides[0]))).sides
            return [Match(self._one_of(longest, whole, record), not cut)]
        parts = [held for part in found.values() if len({one.sides for one in part}) == 1 for held in part]
        if packed:
            return [Match(held.ordinal, held in whole) for held in whole + parts]
        return [Match(self._one_of(parts[0].sides, parts, record), False)] if parts else []

    def _one_of(self, sides: tuple[tuple[str, ...], ...], rows: Sequence[Held], record: str | None) -> int:
        """One of the rows with these texts."""
        alike = self._by_key.setdefault(("inside", sides), _Alike([held for held in rows if held.sides == sides]))
        return alike.take(record).ordinal

    def _candidates(self, fed: str) -> list[Held]:
        if self._blocks is None:
            self._blocks = _indexed(self._held)
        lengths = {len(block) for block in self._blocks}
        found: dict[int, Held] = {}
        for length in lengths:
            for start in range(len(fed) - length + 1):
                for held in self._blocks.get(fed[start : start + length], ()):
                    found[held.ordinal] = held
        return list(found.values())


def _indexed(rows: Sequence[Held]) -> dict[str, list[Held]]:
    """Block → the rows that are looked for by it: each by its rarest, the rarest of each half, and its first."""
    often = Counter(block for held in rows for block in set(_blocks(held)))
    index: dict[str, list[Held]] = {}
    for held in rows:
        blocks = list(_blocks(held))
        if not blocks:
            longest = max(held.sides[0], key=len, default="")
            blocks = [longest] if longest else []
        half, first = (len(blocks) + 1) // 2, [block for block in blocks[:1] if often[block] <= SHARED]
        for part in (blocks, blocks[:half], blocks[half:], first):
            if part:
                chosen = index.setdefault(min(part, key=lambda block: often[block]), [])
                if not chosen or chosen[-1] is not held:
                    chosen.append(held)
    return index


def _blocks(held: Held) -> Iterator[str]:
    for text in held.sides[0]:
        for start in range(0, len(text) - BLOCK + 1, BLOCK):
            yield text[start : start + BLOCK]


def _squeezed(*values: Json) -> tuple[str, ...]:
    """The texts of some members without white space."""
    said = ("".join(text.split()) for value in values for text in texts({"prompt": value}))
    return tuple(text for text in said if text)


def _sides(row: Json) -> tuple[tuple[str, ...], ...]:
    if "chosen" in row:
        prompt = _squeezed(row.get("prompt", ""))
        sides = tuple(_squeezed(row[answer]) for answer in ("chosen", "rejected"))
        given = "".join(prompt)
        return tuple(
            side if "".join(side).startswith(given) and len(side) > len(prompt) else prompt + side for side in sides
        )
    members = [row[name] for name in ("messages", "prompt", "completion", "completions", "text") if name in row]
    return (_squeezed(*members),)


def _keys(row: Json, sides: tuple[tuple[str, ...], ...]) -> list[tuple[Json, ...]]:
    """What two equal rows have in common; the first is the row's own, the others are those of what trainers make of it:
    a preference is taken apart, a prompt is fed alone."""
    whole = tuple("".join(side) for side in sides)
    if len(sides) == 2:
        return [("pair", *whole), ("rated", whole[0], True), ("rated", whole[1], False)]
    if "label" in row and isinstance(row["label"], bool):
        return [("rated", *whole, row["label"])]
    if row.keys() - {"shape", "tools"} == {"prompt"}:
        return [("prompt", *whole)]
    prompt = [("prompt", "".join(_squeezed(row["prompt"])))] if "prompt" in row else []
    return [("text", *whole), *prompt]


def _inside(sides: tuple[tuple[str, ...], ...], fed: Sequence[str], cut: bool, packed: bool) -> str | None:
    """How a row is in this: ``whole``, or what is there of it, or None."""
    if len(fed) == 1 and len(sides) == 2:
        return next((how for side in sides if (how := _one_inside(side, fed[0], cut, packed))), None)
    if len(sides) != len(fed):
        return None
    found = [_one_inside(side, text, cut, packed) for side, text in zip(sides, fed, strict=True)]
    return None if None in found else next((how for how in found if how != "whole"), "whole")


def _one_inside(parts: tuple[str, ...], fed: str, cut: bool, packed: bool) -> str | None:
    length, place = sum(map(len, parts)), 0
    for part in parts:
        place = fed.find(part, place)
        if place < 0:
            break
        place += len(part)
    else:
        beside = len(fed) - length
        return "whole" if length >= BLOCK or (not packed and beside <= AROUND * (len(parts) + 1)) else None
    if not (cut or packed) or len(fed) < BEGINS:
        return None
    if any(fed in part for part in parts):
        return "middle"
    if _breaks_off(parts, fed):
        return "beginning"
    backwards = tuple(part[::-1] for part in reversed(parts))
    return "end" if _breaks_off(backwards, fed[::-1]) else None


def _breaks_off(parts: tuple[str, ...], fed: str) -> bool:
    """Whether `fed` holds the texts of a row from its first one on and ends inside of one."""
    place = 0
    for number, part in enumerate(parts):
        found = fed.find(part, place)
        if found >= 0:
            place = found + len(part)
            continue
        rest = fed[place:]
        begun = rest.find(part[:BEGINS])
        while begun >= 0:
            if part.startswith(rest[begun:]):
                return True
            begun = rest.find(part[:BEGINS], begun + 1)
        return number > 0 and len(rest) <= AROUND
    return True
