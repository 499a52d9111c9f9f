"""Suites: items read from a JSON-lines file, checked whole, stored as a blob with a Merkle root over their digests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from whence.evaluate.samples import reason
from whence.evaluate.scorers import normalised
from whence.records import Item, Json, Ref, Suite, Unmet, content_fault, digest, encode, merkle_root, plain
from whence.store import Store
from whence.store.suites import CURRENT, current_suites

SHOWN = 100
"""Faults written out in one message; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFields:
    """Which member of a line holds what."""

    id: str | None = "id"
    """unique id; None: the line number, as ``#12``"""
    input: str = "input"
    """text, or a list of turns"""
    expected: str = "expected"
    """what the scorer compares with; a line may lack it, its item is then unscored"""
    slices: tuple[str, ...] = ()
    """members whose text, number or truth value makes a slice; a line may lack one"""
    group: str | None = None
    """subject or conversation"""


def read_suite(path: Path, fields: ItemFields) -> list[Item]:
    """The items of a JSON-lines file (UTF-8, blank lines skipped), in order.

    Raises Unmet that names every bad line as file:line with its reason, quoting no content.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a JSON-lines file", "name one in the suite") from error
    items: list[Item] = []
    faults: list[str] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = _item(json.loads(line.decode("utf-8"), parse_constant=_refuse), fields, number)
            encode(plain(item))
        except (ValueError, TypeError, RecursionError) as error:
            faults.append(f"{path}:{number}: {reason(error)}")
            continue
        if item.id in first:
            faults.append(f"{path}:{number}: has the id of line {first[item.id]}")
        first.setdefault(item.id, number)
        items.append(item)
    if not items and not faults:
        faults.append(f"{path}: holds no item")
    _refuse_all(
        faults, "one JSON object a line with " + ", ".join(_names(fields)), "correct these lines or the mapping"
    )
    return items


def _item(line: Json, fields: ItemFields, number: int) -> Item:
    """One line as an item. Raises TypeError with the reason."""
    if not isinstance(line, dict):
        raise TypeError(f"is {type(line).__name__}, expected an object")
    asked, name = line.get(fields.input), line.get(fields.id) if fields.id else f"#{number}"
    if type(name) is int:
        name = str(name)
    if not isinstance(name, str) or not name:
        raise TypeError(f"{fields.id} is missing or not text")
    fault = content_fault({"shape": "prompt", "prompt": asked})
    if fault:
        raise TypeError(f"{fields.input} {fault.removeprefix('prompt ')}")
    group = line.get(fields.group) if fields.group else None
    return Item(
        id=name,
        input=asked,
        expected=line.get(fields.expected),
        slices={field: _slice(line[field], field) for field in fields.slices if line.get(field) is not None},
        group=None if group is None else _slice(group, fields.group or ""),
    )


def _slice(value: Json, field: str) -> str:
    if isinstance(value, str) or type(value) is int:
        return str(value)
    if type(value) is bool:
        return "true" if value else "false"
    raise TypeError(f"{field} is {type(value).__name__}, expected text, an integer or true/false")


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is not a JSON number")


def _names(fields: ItemFields) -> Iterator[str]:
    yield from (f for f in (fields.id, fields.input, fields.expected, *fields.slices, fields.group) if f)


def _refuse_all(faults: Sequence[str], expected: str, do: str) -> None:
    if faults:
        more = [f"… and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        raise Unmet("\n".join([f"{len(faults)} faults in the suite:", *faults[:SHOWN], *more]), expected, do)


def put_suite(
    store: Store,
    name: str,
    role: Literal["dev", "gate", "fresh", "counter"],
    scorer: Literal["label", "exact", "regex", "json_schema", "judge", "elsewhere"],
    items: Sequence[Item],
    labels: Sequence[str] = (),
    *,
    groups_are: Literal["subject", "group"] | None = None,
    part_of: str | None = None,
    republishes: str | None = None,
) -> Ref:
    """Store a suite, which counts from now on as the one of its name, and return its digest; the same items in the same
    order give the same one.

    labels: the closed set of answers of the label scorer; empty there: every expected value. The others are those
    of a Suite. Raises Unmet that lists repeated ids and expected values that the
    scorer cannot compare with.
    """
    if scorer == "label" and not labels:
        labels = sorted({item.expected for item in items if isinstance(item.expected, str)})
    _refuse_all(
        list(_faults(scorer, items, labels)),
        f"items with ids of their own whose expected values fit the {scorer} scorer",
        "correct the suite's file, its labels or its scorer",
    )
    suite = Suite(
        name=name,
        role=role,
        scorer=scorer,
        items=store.put_lines(plain(item) for item in items),
        n=len(items),
        root=merkle_root(bytes.fromhex(digest(item).removeprefix("sha256:")) for item in items),
        labels=tuple(labels),
        groups_are=groups_are,
        part_of=part_of,
        republishes=republishes,
    )
    with store.transaction():
        before, made = current_suites(store).get(name), store.put(suite)
        if before and before[0] != made:
            store.append(CURRENT, made)
    return made


def _faults(scorer: str, items: Sequence[Item], labels: Sequence[str]) -> Iterator[str]:
    known = Counter(normalised(label) for label in labels)
    yield from (f"label {label!r} is there twice, or once in another spelling" for label, k in known.items() if k > 1)
    yield from (f"item {name} is there {k} times" for name, k in Counter(i.id for i in items).items() if k > 1)
    if scorer == "elsewhere":
        return
    if all(item.expected is None for item in items):
        yield "no item has an expected value"
    for item in items:
        value = item.expected
        if value is None:
            continue
        if scorer == "json_schema":
            if not isinstance(value, dict | bool):
                yield f"item {item.id}: expected is {type(value).__name__}, not a JSON schema"
        elif not isinstance(value, str):
            yield f"item {item.id}: expected is {type(value).__name__}, not text"
        elif scorer == "label" and normalised(value) not in known:
            yield f"item {item.id}: expected is none of the {len(labels)} labels"


def items_of(store: Store, suite: Ref) -> list[Item]:
    """The items of a suite, in order. Raises NotFound, Damaged."""
    lines = store.get_lines(store.get(suite, Suite).items)
    return [Item(**({"input": None, "expected": None} | line)) for line in lines]
