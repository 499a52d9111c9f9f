"""Checks of criteria: whether one answer passes. Where a scorer of suites says the same, that scorer is asked."""

from __future__ import annotations

import re
from collections.abc import Callable

from whence.evaluate.scorers import Unusable, fits, normalised
from whence.records import Criterion, Json


def passes(criterion: Criterion, answer: str, scorer: str = "exact") -> bool:
    """Whether an answer passes a criterion that has a check. scorer: the gate suite's, for the check ``right``.
    Raises Unusable where the value cannot be compared with, Unmet for a missing extra."""
    assert criterion.check is not None
    if criterion.check == "right":
        return fits(scorer, criterion.value, answer)
    return CHECKS[criterion.check](criterion.value, answer)


def holds(phrase: str, text: str) -> bool:
    """Whether a text says a phrase: whole words, case and space aside."""
    return re.search(rf"(?<!\w){re.escape(normalised(phrase))}(?!\w)", normalised(text)) is not None


def listed(value: Json) -> list[str]:
    """What a check compares with, as a list."""
    return [value] if isinstance(value, str) else list(value)


def words(text: str) -> int:
    """Words, as blanks part them."""
    return len(text.split())


CHECKS: dict[str, Callable[[Json, str], bool]] = {
    "contains": lambda value, answer: all(holds(phrase, answer) for phrase in listed(value)),
    "not_contains": lambda value, answer: not any(holds(phrase, answer) for phrase in listed(value)),
    "label": lambda value, answer: any(fits("label", label, answer) for label in listed(value)),
    "regex": lambda value, answer: fits("regex", value, answer),
    "json_schema": lambda value, answer: fits("json_schema", value, answer),
    "min_words": lambda value, answer: words(answer) >= value,
    "max_words": lambda value, answer: words(answer) <= value,
}
"""Check → whether an answer passes it. ``contains``: every phrase; ``not_contains``: none; ``label``: the answer is one
of these; ``regex`` and ``json_schema``: as the scorers of suites; words are what blanks part."""


def value_fault(check: str, value: Json) -> str | None:
    """Why a check cannot compare with this value, or None."""
    if check == "right" or check not in CHECKS:
        return None
    if check in ("min_words", "max_words"):
        return None if type(value) is int and value >= 0 else "needs a value: a whole number of words"
    if check in ("contains", "not_contains", "label"):
        texts = listed(value) if isinstance(value, str | list) else []
        whole = texts and all(isinstance(text, str) and text.strip() for text in texts)
        return None if whole else "needs a value: a text, or a list of texts"
    if not isinstance(value, str if check == "regex" else dict | bool):
        return "needs a value: " + ("a pattern" if check == "regex" else "a table, the JSON schema")
    try:
        fits(check, value, "{}")
    except Unusable as error:
        return f"cannot use this value: {error}"
    return None
