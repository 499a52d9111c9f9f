"""Values of every noun, drawn from the nouns' own type hints."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from whence import records
from whence.records import Ref

NOUNS = [kind for name in records.__all__ if dataclasses.is_dataclass(kind := getattr(records, name))]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda raw: Ref("sha256:" + raw.hex()))
PLAIN = {str: TEXT, int: st.integers(-(2**70), 2**70), bool: st.booleans(), float: NUMBER, datetime: TIMES}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this type may hold."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.none() | values(next(a for a in args if a is not type(None)))
    if hint is Any:
        return JSON
    if hint is Ref:
        return DIGESTS
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(TEXT, values(args[1]), max_size=2)
    return nouns(hint) if dataclasses.is_dataclass(hint) else PLAIN[hint]


def nouns(kind: type) -> st.SearchStrategy[Any]:
    """Whole values of one noun."""
    return st.builds(kind, **{name: values(hint) for name, hint in get_type_hints(kind).items()})


def spelled(value: Any) -> Any:
    """A value as the ground rules read it, worked out without the code under test: two values are the same exactly
    when their spellings are equal."""
    if dataclasses.is_dataclass(value):
        return {f.name: spelled(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: spelled(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [spelled(item) for item in value]
    if isinstance(value, datetime):
        return ("time", value.astimezone(UTC).replace(tzinfo=None))
    return (type(value).__name__, repr(0.0 if value == 0 and isinstance(value, float) else value))
