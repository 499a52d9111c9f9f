"""Nouns and their canonical bodies: read back, filed, rooted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from whence import records
from whence.records import Conflict, Damaged, Json, Trace, encode, merkle_root, plain, sha256

_adapters: dict[str, tuple[TypeAdapter[Any], dict[str, None], frozenset[str]]] = {}
"""Noun → its reader, its fields without a default (absent in the canonical form, they were null), and all of them."""


def decode(body: str) -> Any:
    """The noun of a canonical body. Raises Damaged when it is no such noun."""
    try:
        fields = json.loads(body)
        name = fields.pop("noun")
        if name not in _adapters:
            kind = getattr(records, name)
            bare = (f for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING)
            fieldnames = frozenset(f.name for f in dataclasses.fields(kind))
            _adapters[name] = TypeAdapter(kind), {f.name: None for f in bare}, fieldnames
        adapter, absent, every = _adapters[name]
        if not fields.keys() <= every:
            raise ValueError(f"{name} has no field {', '.join(sorted(fields.keys() - every))}")
        return adapter.validate_json(json.dumps(absent | fields), strict=True)
    except (ValueError, KeyError, AttributeError, ValidationError) as error:
        raise Damaged(f"a stored record cannot be read: {str(error)[:200]}") from error


def known(digest: str, body: str) -> Any:
    """`decode`, where what cannot be read and yet has its digest was written by a newer whence: raises Conflict."""
    try:
        return decode(body)
    except Damaged as error:
        if sha256(body.encode()) != digest:
            raise
        found = f"record {digest[:19]}… is of a kind that this whence does not know"
        raise Conflict(f"{found}\n  do: upgrade whence") from error


def filing(noun: Any) -> tuple[str, str | None]:
    """(kind, name) under which a record is found."""
    return type(noun).__name__, getattr(noun, "id", None) or getattr(noun, "name", None)


def digests_root(names: Iterable[str]) -> str:
    """Merkle root over the digests of records."""
    return merkle_root(bytes.fromhex(name.removeprefix("sha256:")) for name in names)


def trace_head(trace: Trace) -> Json:
    """What the journal keeps of a trace so that it can be recorded after a kill."""
    return {k: v for k, v in plain(trace).items() if k != "content"}


def trace_from(head: Json, content: str) -> Trace:
    """The inverse of `trace_head`."""
    trace: Trace = decode(encode({"noun": "Trace", "content": content, **head}).decode())
    return trace
