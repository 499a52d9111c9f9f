"""Scorers: how an answer becomes right, wrong or unscored.

An answer is unscored only where there is nothing to compare it with (no expected value, a pattern or schema that does
not work) or where the model failed. Whatever else a model answers counts.
"""

from __future__ import annotations

import json
import re
from typing import Any

from whence.models.port import Reply
from whence.records import Item, Json, Score, Suite, require

ENDED = "the model's answer ended in"
"""Begins the reason of a score where the model failed."""


class Unusable(Exception):
    """The expected value cannot be compared with."""


def score(suite: Suite, item: Item, reply: Reply) -> Score:
    """The score of one reply under the suite's scorer. Raises Unmet where the scorer needs an extra."""
    if reply.finish in ("error", "cancelled"):
        return Score(item=item.id, state="unscored", reason=f"{ENDED} {reply.reason or reply.finish}")
    if item.expected is None:
        return Score(item=item.id, state="unscored", reason="the item has no expected value")
    try:
        right = fits(suite.scorer, item.expected, reply.text)
    except Unusable as error:
        return Score(item=item.id, state="unscored", reason=str(error))
    return Score(item=item.id, state="right" if right else "wrong")


def fits(scorer: str, expected: Json, answer: str) -> bool:
    """Whether an answer is right. Raises Unusable where the expected value cannot be compared with, Unmet for a missing
    extra."""
    return _SCORERS[scorer](expected, answer)


def normalised(label: str) -> str:
    """A label as it is compared: outer space off, inner space single, case folded."""
    return " ".join(label.split()).casefold()


def _label(expected: Json, answer: str) -> bool:
    """An answer outside the closed set equals no expected value, which all lie inside: wrong."""
    return normalised(answer) == normalised(str(expected))


def _exact(expected: Json, answer: str) -> bool:
    """Equal but for space around it."""
    return answer.strip() == str(expected).strip()


def _regex(expected: Json, answer: str) -> bool:
    """The pattern matches the whole answer, space around it aside."""
    try:
        return re.fullmatch(expected, answer.strip()) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise Unusable(f"the pattern does not compile: {error}") from error


def _json_schema(expected: Json, answer: str) -> bool:
    """The whole answer is JSON that the schema accepts; nothing is fetched for a reference."""
    require("checks", "jsonschema")
    import jsonschema  # noqa: PLC0415  (an extra, and 0.2 s)
    import referencing  # noqa: PLC0415

    kind = jsonschema.validators.validator_for(expected, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(expected)
    except (jsonschema.SchemaError, RecursionError) as error:
        raise Unusable("expected is not a valid JSON schema") from error
    try:
        value: Any = json.loads(answer, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    try:
        return bool(kind(expected, registry=referencing.Registry()).is_valid(value))
    except (referencing.exceptions.Unresolvable, re.error, RecursionError) as error:
        raise Unusable("a reference, pattern or recursion in the schema does not work") from error


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _elsewhere(expected: Json, answer: str) -> bool:
    raise Unusable("another tool scores this suite")


_SCORERS = {"label": _label, "exact": _exact, "regex": _regex, "json_schema": _json_schema, "elsewhere": _elsewhere}
