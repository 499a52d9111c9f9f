"""Scorers: how an answer becomes right, wrong or unscored.

An answer is unscored only where there is nothing to compare it with (no expected value, a pattern or schema that does
not work) or where the model failed. Whatever else a model answers counts.
"""

from __future__ import annotations

import json
import re
from typing import Any

from whence.models.port import Reply
from whence.records import Item, Score, Suite, require


class _Unusable(Exception):
    """The expected value cannot be compared with."""


def score(suite: Suite, item: Item, reply: Reply) -> Score:
    """The score of one reply under the suite's scorer. Raises Unmet where the scorer needs an extra."""
    if reply.finish in ("error", "cancelled"):
        return Score(item=item.id, state="unscored", reason=f"the model's answer ended in {reply.finish}")
    if item.expected is None:
        return Score(item=item.id, state="unscored", reason="the item has no expected value")
    try:
        right = _SCORERS[suite.scorer](suite, item, reply.text)
    except _Unusable as error:
        return Score(item=item.id, state="unscored", reason=str(error))
    return Score(item=item.id, state="right" if right else "wrong")


def normalised(label: str) -> str:
    """A label as it is compared: outer space off, inner space single, case folded."""
    return " ".join(label.split()).casefold()


def _label(suite: Suite, item: Item, answer: str) -> bool:
    """An answer outside the closed set equals no expected value, which all lie inside: wrong."""
    return normalised(answer) == normalised(str(item.expected))


def _exact(suite: Suite, item: Item, answer: str) -> bool:
    """Equal but for space around it."""
    return answer.strip() == str(item.expected).strip()


def _regex(suite: Suite, item: Item, answer: str) -> bool:
    """The pattern matches the whole answer, space around it aside."""
    try:
        return re.fullmatch(item.expected, answer.strip()) is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise _Unusable(f"the pattern does not compile: {error}") from error


def _json_schema(suite: Suite, item: Item, answer: str) -> bool:
    """The whole answer is JSON that the schema accepts; nothing is fetched for a reference."""
    require("checks", "jsonschema")
    import jsonschema  # noqa: PLC0415  (an extra, and 0.2 s)
    import referencing  # noqa: PLC0415

    kind = jsonschema.validators.validator_for(item.expected, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(item.expected)
    except (jsonschema.SchemaError, RecursionError) as error:
        raise _Unusable("expected is not a valid JSON schema") from error
    try:
        value: Any = json.loads(answer, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    try:
        return bool(kind(item.expected, registry=referencing.Registry()).is_valid(value))
    except (referencing.exceptions.Unresolvable, re.error, RecursionError) as error:
        raise _Unusable("a reference, pattern or recursion in the schema does not work") from error


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_SCORERS = {"label": _label, "exact": _exact, "regex": _regex, "json_schema": _json_schema}
