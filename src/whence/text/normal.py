"""One spelling of a text."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\w+")


def normalise(text: str) -> str:
    """Lower case, ``\\w+`` tokens joined by one space: what "the same but for case and punctuation" means here."""
    return " ".join(_TOKEN.findall(text.lower()))
