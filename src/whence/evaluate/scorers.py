"""Scorers: how an answer becomes right, wrong or unscored.

An answer is unscored only where there is nothing to compare it with (no expected value, a pattern or schema that does
not work), where the model failed, or where a judge has no opinion. Whatever else a model answers counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from whence.evaluate.judges import Asked, Judging, Opinion, opinions
from whence.models.port import Reply
from whence.records import Item, Json, Score, Suite, Unmet, WhenceError, require

ENDED = "the model's answer ended in"
"""Begins the reason of a score where the model failed."""


class Unusable(Exception):
    """The expected value cannot be compared with."""


def scores(suite: Suite, answered: Sequence[tuple[Item, Reply]], judging: Judging | None = None) -> list[Score]:
    """The scores of several replies. An item of a suite with the scorer ``judge`` is right where the judge holds the
    answer for at least as good as the one that the item expects. Raises BackendFailed where the judge is gone, Unmet
    where nobody judges, or the scorer needs an extra."""
    if suite.scorer != "judge":
        return [score(suite, item, reply) for item, reply in answered]
    if judging is None:
        raise Unmet(f"suite {suite.name} is scored by a judge, and none is named", "[judge]", "name one in whence.toml")
    there = [(item, reply) for item, reply in answered if not _incomparable(item, reply)]
    asked = [Asked(_text(item.input), reply.text, str(item.expected)) for item, reply in there]
    found = {item.id: one for (item, _), one in zip(there, opinions(judging, asked), strict=True)}
    return [_judged(item, reply, found.get(item.id)) for item, reply in answered]


def score(suite: Suite, item: Item, reply: Reply) -> Score:
    """The score of one reply under the suite's scorer, which is no judge. Raises Unmet where the scorer needs an
    extra."""
    if why := _incomparable(item, reply):
        return Score(item=item.id, state="unscored", reason=why)
    try:
        right = fits(suite.scorer, item.expected, reply.text)
    except Unusable as error:
        return Score(item=item.id, state="unscored", reason=str(error))
    return Score(item=item.id, state="right" if right else "wrong")


def _judged(item: Item, reply: Reply, said: Opinion | None) -> Score:
    if said is None or said.margin is None:
        why = said.reason if said else _incomparable(item, reply)
        return Score(item=item.id, state="unscored", reason=why)
    return Score(item=item.id, state="right" if said.margin >= 0 else "wrong")


def _incomparable(item: Item, reply: Reply) -> str | None:
    """Why there is nothing to compare."""
    if reply.finish in ("error", "cancelled"):
        return f"{ENDED} {reply.reason or reply.finish}"
    return "the item has no expected value" if item.expected is None else None


def _text(asked: Json) -> str:
    """A question as a judge reads it: the text, or the turns, each behind whose it is."""
    if isinstance(asked, str):
        return asked
    return "\n\n".join(f"{turn.get('role')}: {turn.get('content') or ''}" for turn in asked)


def fits(scorer: str, expected: Json, answer: str) -> bool:
    """Whether an answer is right. Raises Unusable where the expected value cannot be compared with, the scorer fails at
    this answer, or only a judge can say; Unmet for a missing extra."""
    if scorer == "judge":
        raise Unusable("whether it is right is for a judge to say, who is asked about the suite's items alone")
    try:
        return _SCORERS[scorer](expected, answer)
    except (Unusable, WhenceError):
        raise
    except Exception as error:  # one answer that breaks a library is no reason to lose the others
        raise Unusable(f"the scorer failed with {type(error).__name__}") from error


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
