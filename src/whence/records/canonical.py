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
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

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


_known: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _known:
        _known[cls] = get_type_hints(cls)
    return _known[cls]


def plain(noun: Any) -> dict[str, Json]:
    """A noun as free JSON, each field checked against its declared type. Raises TypeError or ValueError."""
    out = {}
    for field in dataclasses.fields(noun):
        value = _typed(getattr(noun, field.name), _hints(type(noun))[field.name], field.name)
        if value is not None:
            out[field.name] = value
    return out


def _typed(value: Any, hint: Any, where: str) -> Json:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _typed(value, next(a for a in args if a is not type(None)), where)
    if hint is Json:
        return _clean(value)
    if origin is Literal:
        return _expect(value in args, value, where, f"one of {args}")
    if origin is tuple:
        _expect(isinstance(value, tuple), value, where, "a tuple")
        return [_typed(item, args[0], f"{where}[{i}]") for i, item in enumerate(value)]
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        _expect(isinstance(value, Mapping), value, where, "a mapping")
        return {_scalar(k, args[0], where): _typed(item, args[1], f"{where}.{k}") for k, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        _expect(isinstance(value, hint), value, where, hint.__name__)
        return plain(value)
    return _scalar(value, hint, where)


def _scalar(value: Any, hint: Any, where: str) -> Json:
    if hint is datetime:
        _expect(isinstance(value, datetime), value, where, "a time")
        return text_time(value)
    if hint is bool:
        return _expect(type(value) is bool, value, where, "true or false")
    if hint is int:
        return _expect(type(value) is int, value, where, "an integer")
    if hint is float:
        _expect(type(value) in (int, float), value, where, "a number")
        return _clean(float(value))
    return _expect(isinstance(value, str), value, where, "text")


def _expect(holds: bool, value: Any, where: str, expected: str) -> Any:
    if not holds:
        raise TypeError(f"{where} is {value!r}, expected {expected}")
    return value


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
    for field in dataclasses.fields(noun):
        hint, value = _hints(type(noun))[field.name], getattr(noun, field.name)
        if value is None:
            continue
        if hint is Ref or Ref in get_args(hint):
            items = value if isinstance(value, tuple) else (value,)
            found += [(field.name, item) for item in items]
    return found


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
