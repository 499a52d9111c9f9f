"""Texts → numbers: normalising, what a text names, and later near-duplicates, overlap, distributions. Pure."""

from __future__ import annotations

import re

from whence.text.mentions import Finder, Mark, fold, folded, mark_of, tokens_of

_TOKEN = re.compile(r"\w+")


def normalise(text: str) -> str:
    """Lower case, ``\\w+`` tokens joined by one space: what "the same but for case and punctuation" means here."""
    return " ".join(_TOKEN.findall(text.lower()))


__all__ = ["Finder", "Mark", "fold", "folded", "mark_of", "normalise", "tokens_of"]
