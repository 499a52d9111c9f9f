"""Canonical form and digests.

One value has one spelling: typed fields are written by their type (a float as the shortest repr of ``float(x)``,
−0.0 as 0.0; an integer field refuses 1.0; a time as UTC microseconds with ``Z``), free JSON keeps 1 and 1.0 apart,
keys are sorted by code point, null members are absent, strings stay as they came. Digests name their algorithm:
``b2k1:`` keyed BLAKE2b-256 (rows and content), ``sha256:`` (records and artifacts), ``b3:`` BLAKE3 (weights).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, NewType, NoReturn, Union, get_args, get_origin, get_type_hints

Json = Any
"""Free JSON: None, bool, int, float, str, list, dict with str keys."""

Ref = NewType("Ref", str)
"""The digest of another record that this one was made from. Every Ref points upstream."""

_slow = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
).encode
# JSONEncoder.encode builds the C encoder anew for every call, which doubles the cost of a short row.
_maker: Any = getattr(json.encoder, "c_make_encoder", None)
_made = _maker and _maker(None, None, json.encoder.encode_basestring, None, ":", ",", True, False, False)


def _encoder(value: Json) -> str:
    return "".join(_made(value, 0)) if _made else _slow(value)


def encode_parsed(value: Json) -> str:
    """`encode` as text, for values that a JSON parser made: keys are known to be text. Raises like `encode`, except
    that a lone surrogate is found only when the text is encoded."""
    text = _encoder(value)
    return _encoder(_clean(value)) if "null" in text or "-0.0" in text else text


def encode(value: Json) -> bytes:
    """Canonical UTF-8 bytes of free JSON.

    Raises ValueError for NaN, infinities and lone surrogates, TypeError for what JSON has not.
    """
    return _encoder(_clean(value)).encode("utf-8")


def _clean(value: Json) -> Json:
    """Drop null members and the sign of zero; refuse keys that are not text."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        out = {}
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"object key {key!r} is {type(key).__name__}, expected text")
            if item is not None:
                out[key] = item if type(item) is str else _clean(item)
        return out
    if kind is list or kind is tuple:
        return [item if type(item) is str else _clean(item) for item in value]
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        return value + 0.0
    raise TypeError(f"{kind.__name__} is not JSON")


def text_time(moment: datetime) -> str:
    """``2026-11-21T08:00:00.000000Z``; refuses a naive time."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """The inverse of `text_time`; also reads any ISO 8601 time that names its zone, and a bare date as midnight UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if len(text) > 10:
            raise ValueError(f"{text!r} has no time zone")
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


Writer = Callable[[Any, str], Json]
"""(value, where it stands) → free JSON, checked. Raises TypeError or ValueError."""


def plain(noun: Any) -> dict[str, Json]:
    """A noun as free JSON, each field checked against its declared type. Raises TypeError or ValueError."""
    out = {}
    for name, write in _writers(noun.__class__):
        value = write(getattr(noun, name), name)
        if value is not None:
            out[name] = value
    return out


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _writers(cls: type) -> tuple[tuple[str, Writer], ...]:
    return tuple((field.name, _writer(_hints(cls)[field.name])) for field in dataclasses.fields(cls))


@cache
def _writer(hint: Any) -> Writer:
    """What writes values of this type. Made once a type: a gateway writes a trace for each request."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        some = _writer(next(a for a in args if a is not type(None)))
        return (lambda value, where: None if value is None else some(value, where)) if type(None) in args else some
    if hint is Json:
        return lambda value, where: _clean(value)
    if origin is Literal:
        return lambda value, where: value if value in args else _refuse(value, where, f"one of {args}")
    if origin is tuple:
        return _tuple(_writer(args[0]))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _mapping(_writer(args[0]), _writer(args[1]))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return lambda v, where: plain(v) if isinstance(v, hint) else _refuse(v, where, hint.__name__)
    return _SCALARS.get(hint, _text)


def _tuple(item: Writer) -> Writer:
    def write(value: Any, where: str) -> Json:
        if not isinstance(value, tuple):
            _refuse(value, where, "a tuple")
        return [item(one, f"{where}[{i}]") for i, one in enumerate(value)]

    return write


def _mapping(key: Writer, item: Writer) -> Writer:
    def write(value: Any, where: str) -> Json:
        if not isinstance(value, Mapping):
            _refuse(value, where, "a mapping")
        return {key(name, where): item(one, f"{where}.{name}") for name, one in value.items()}

    return write


def _time(value: Any, where: str) -> Json:
    return text_time(value) if isinstance(value, datetime) else _refuse(value, where, "a time")


def _truth(value: Any, where: str) -> Json:
    return value if type(value) is bool else _refuse(value, where, "true or false")


def _integer(value: Any, where: str) -> Json:
    return value if type(value) is int else _refuse(value, where, "an integer")


def _number(value: Any, where: str) -> Json:
    return _clean(float(value)) if type(value) in (int, float) else _refuse(value, where, "a number")


def _text(value: Any, where: str) -> Json:
    return value if isinstance(value, str) else _refuse(value, where, "text")


_SCALARS: dict[Any, Writer] = {datetime: _time, bool: _truth, int: _integer, float: _number}


def _refuse(value: Any, where: str, expected: str) -> NoReturn:
    raise TypeError(f"{where} is {value!r}, expected {expected}")


def canonical(noun: Any) -> bytes:
    """Canonical bytes of a noun; its class name is part of them, so two nouns with equal fields differ."""
    return _encoder({"noun": type(noun).__name__, **plain(noun)}).encode("utf-8")


def sha256(data: bytes) -> str:
    """``sha256:`` and the hex digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest(noun: Any) -> Ref:
    """The identity of a noun: the SHA-256 of its canonical form."""
    return Ref(sha256(canonical(noun)))


def references(noun: Any) -> list[tuple[str, Ref]]:
    """The (field, digest) pairs under which a noun refers upstream, in field order."""
    found: list[tuple[str, Ref]] = []
    for name in _referring(noun.__class__):
        value = getattr(noun, name)
        if value is not None:
            found += [(name, item) for item in (value if isinstance(value, tuple) else (value,))]
    return found


@cache
def _referring(cls: type) -> tuple[str, ...]:
    hints = ((field.name, _hints(cls)[field.name]) for field in dataclasses.fields(cls))
    return tuple(name for name, hint in hints if _refers(hint))


def _refers(hint: Any) -> bool:
    """Whether a field of this type holds references: one, a list of them, or either or none."""
    return hint is Ref or any(map(_refers, get_args(hint)))


def keyed(key: bytes, data: bytes) -> bytes:
    """BLAKE2b-256 under a key of 32 bytes: 32 bytes that nobody without the key can compute or check."""
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def content_digest(key: bytes, content: Json) -> bytes:
    """The keyed digest of a row's content, 32 bytes; equal content under one key has one, whatever file it came in."""
    return keyed(key, encode(content))


def row_id(key: bytes, source: str, record: str, content: bytes) -> bytes:
    """The id of one occurrence, 32 bytes: keyed over source id, source record id and content digest.

    The two names are length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    """
    name, rec = source.encode(), record.encode()
    return keyed(key, b"%d:%b%d:%b%b" % (len(name), name, len(rec), rec, content))
