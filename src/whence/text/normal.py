"""One spelling of a text."""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(r"\w+")
_DIGIT = re.compile(r"\d")


def normalise(text: str) -> str:
    """Lower case, ``\\w+`` tokens joined by one space: what "the same but for case and punctuation" means here."""
    return " ".join(_TOKEN.findall(text.lower()))


def coarse(text: str) -> str:
    """`normalise` of one Unicode form (NFKC), case folded, with 0 for each digit: what "the same but for spelling and
    numbers" means here."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return normalise(_DIGIT.sub("0", text))
