"""Texts → numbers: normalising, what a text names, and later near-duplicates, overlap, distributions. Pure."""

from __future__ import annotations

from whence.text.mentions import Finder, Mark, fold, folded, mark_of, tokens_of
from whence.text.normal import coarse, normalise
from whence.text.profile import Likeness, Profile, profile, told_apart, wanted

__all__ = [
    "Finder",
    "Likeness",
    "Mark",
    "Profile",
    "coarse",
    "fold",
    "folded",
    "mark_of",
    "normalise",
    "profile",
    "told_apart",
    "tokens_of",
    "wanted",
]
