"""Text from templates: choices, slots and the noise of real typing.

A template holds `[one|two|three]` for a choice, which may be nested and may be empty, and `{slot}` for a value that
the caller supplies. Every draw comes from the caller's `random.Random`, so the same seed gives the same text.
"""

import random
import re
from collections.abc import Mapping

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_SENTENCE_START = re.compile(r"(^|[.!?]\s+|\n)([a-z])")
_ASKING = (
    "how ",
    "why ",
    "where ",
    "when ",
    "can ",
    "could ",
    "what ",
    "who ",
    "which ",
    "is ",
    "did ",
    "do you ",
    "was ",
)


def expand(template: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """One text of the template. Choices are drawn first, so a choice may hold slots; empty ones leave no gap."""
    while match := _INNERMOST.search(template):
        chosen = rng.choice(match[1].split("|"))
        template = template[: match.start()] + chosen + template[match.end() :]
    return re.sub(r" +(?=[ ,.?!]|$)", "", template.format_map(slots))


def lines(block: str) -> tuple[str, ...]:
    """The non-empty lines of a block of templates."""
    return tuple(line.strip() for line in block.strip().splitlines() if line.strip())


def words(block: str) -> tuple[str, ...]:
    """The words of a block."""
    return tuple(block.split())


def phrases(block: str) -> tuple[str, ...]:
    """The phrases of a block, split at `|`."""
    return tuple(block.split("|"))


def sentence_case(text: str) -> str:
    """A capital at the start of the text and after each full stop."""
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def tidy(text: str) -> str:
    """As a careful writer would: capitals, a capital I, and a full stop or question mark after each sentence."""
    sentences = [one + ("?" if one.startswith(_ASKING) else ".") for one in text.split(". ")]
    return re.sub(r"\bi\b", "I", sentence_case(" ".join(sentences)))


def mistype(text: str, rng: random.Random, slips: int) -> str:
    """Makes up to `slips` typing errors inside words of five letters or more: swapped, dropped or doubled."""
    typed = text.split(" ")
    long_words = [at for at, word in enumerate(typed) if len(word) >= 5 and word.isalpha()]
    for at in rng.sample(long_words, min(slips, len(long_words))):
        word = typed[at]
        cut = rng.randrange(1, len(word) - 2)
        swapped = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
        dropped = word[:cut] + word[cut + 1 :]
        doubled = word[:cut] + word[cut] + word[cut:]
        typed[at] = rng.choice((swapped, dropped, doubled))
    return " ".join(typed)
