"""Which licence a text is. Texts of licences do not lie here: ``licence-sketches.json`` keeps, for each of 47, the
smallest digests of its word shingles (`bench.licences` makes it); the others are told by their title and body.

A text that is no licence, or one that says more than the licence it resembles, gives none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from whence.govern.licences import table, titles

SHINGLE = 4
"""words"""
SKETCH = 256
"""digests of a licence that are kept"""
WIDTH = 5
"""bytes of a digest"""
ENOUGH = 0.6
"""harmonic mean of the shares of shingles that text and licence have in common; texts that are no licence have under
0.1, see docs/validity.md"""
HEAD = 60
"""words in which a title stands"""
LEAST = 150
"""words of a licence that is told by its title"""
_WORD = re.compile(r"[^\W_]+(?:\.\d+)*")
_LEGAL = ("licensor", "hereby", "definitions", "warranties", "liability", "agreement", "data provider")
_RESTRICTS = re.compile(
    r"(?<!commercial or )non ?commercial|research (?:purposes? )?only|research use only|academic (?:use|purposes?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """A licence that a text was found to be."""

    id: str
    """as in the table"""
    score: float
    """0 to 1; 1 for one that is told by its title"""


@dataclass(frozen=True, slots=True)
class _Sketch:
    digests: frozenset[bytes]
    shingles: int
    restricts: int
    """times that it says non-commercial or the like"""

    @property
    def top(self) -> bytes:
        """The largest digest below which every shingle of the licence is known."""
        return max(self.digests) if self.shingles > SKETCH else b"\xff" * WIDTH


def detect(text: str) -> Detected | None:
    """The licence that this text is, or None."""
    said = words(text)
    plain = " ".join(said)
    found = _creative_commons(said, plain) or _titled(said, plain)
    if found:
        more = "commercial-use" in table()[found].permits and restrictions(plain) > 0
        return None if more else Detected(id=found, score=1.0)
    held = shingles(said)
    scores = {name: _alike(held, sketch) for name, sketch in _sketches().items()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < ENOUGH or restrictions(plain) > _sketches()[best].restricts:
        return None
    return Detected(id=best, score=scores[best])


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORD.findall(text.casefold())


def shingles(said: list[str]) -> set[bytes]:
    """Digests of every run of `SHINGLE` words."""
    runs = (" ".join(said[i : i + SHINGLE]) for i in range(len(said) - SHINGLE + 1))
    return {hashlib.blake2b(run.encode(), digest_size=WIDTH).digest() for run in runs}


def restrictions(plain: str) -> int:
    """How often words say non-commercial, research only or the like."""
    return len(_RESTRICTS.findall(plain))


def sketched(texts: Iterable[tuple[str, str]]) -> str:
    """The file of sketches for (id, text)."""
    out = {}
    for name, text in texts:
        said = words(text)
        held = sorted(shingles(said))
        kept = base64.b85encode(b"".join(held[:SKETCH])).decode()
        out[name] = {"shingles": len(held), "restricts": restrictions(" ".join(said)), "sketch": kept}
    return json.dumps(out, indent=0, sort_keys=True) + "\n"


def _alike(held: set[bytes], sketch: _Sketch) -> float:
    """Harmonic mean of the share of the licence's shingles in the text and of the text's in the licence; both are told
    from the shingles with the smallest digests."""
    both = len(held & sketch.digests)
    mine = sum(digest <= sketch.top for digest in held)
    return 2 * both / (mine + len(sketch.digests)) if both else 0.0


@cache
def _sketches() -> dict[str, _Sketch]:
    raw = json.loads((files("whence.govern") / "licence-sketches.json").read_text(encoding="utf-8"))
    return {
        name: _Sketch(
            frozenset(body[i : i + WIDTH] for i in range(0, len(body), WIDTH)), one["shingles"], one["restricts"]
        )
        for name, one in raw.items()
        if (body := base64.b85decode(one["sketch"]))
    }


# -- told by title and body --------------------------------------------------------------------------------------------


def _is_legal(said: list[str], plain: str) -> bool:
    """Whether a text is long enough and speaks as licences do; pages that only name one do not."""
    return len(said) >= LEAST and sum(word in plain for word in _LEGAL) >= 3


def _titled(said: list[str], plain: str) -> str | None:
    """By the title in the first words, the longest of those that stand there."""
    head = f" {' '.join(said[:HEAD])} "
    held = [(len(title), name) for title, name in titles().items() if f" {title} " in head]
    return max(held)[1] if held and _is_legal(said, plain) else None


def _creative_commons(said: list[str], plain: str) -> str | None:
    """One of Creative Commons' licences, by what its body grants; its version by vocabulary or title."""
    new = "creative commons" in plain and plain.count("adapted material") >= 3
    if not _is_legal(said, plain) or not (new or "this creative commons public license" in plain):
        return None
    elements = ["BY"]
    if "commercial advantage" in plain:
        elements.append("NC")
    adapts = "adapter s license" if new else r"create and reproduce (adaptations|derivative works)"
    if not re.search(adapts, plain):
        elements.append("ND")
    elif "sharealike" in plain or "share alike" in plain or "same license elements" in plain:
        elements.append("SA")
    family = "-".join(elements)
    version = re.search(r"\b(2\.0|2\.5|3\.0)\b", " ".join(said[:HEAD]))
    name = f"CC-{family}-4.0" if new else f"CC-{family}-{version[1]}" if version else f"LicenseRef-CC-{family}"
    return name if name in table() else None
