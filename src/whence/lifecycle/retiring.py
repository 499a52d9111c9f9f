"""Items that leave a suite since somebody knows them, and fresh ones in their place."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from whence.data import question_of
from whence.evaluate.scorers import normalised
from whence.lifecycle.discriminating import Answered
from whence.lifecycle.exposure import EXPOSED, exposure
from whence.project import Project
from whence.project.config import SuitePart
from whence.records import Item, NotFound, Suite, Unmet, require, texts, writing
from whence.stats import Result
from whence.store import Store
from whence.store.suites import current_suites


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What left a suite's file, and what came."""

    suite: str
    """its name"""
    file: Path | None
    """what was written; absent: no item has to leave"""
    left: Mapping[str, str | None]
    """item → the fresh one in its place; None: the pool has none like it"""
    known: Sequence[str]
    """items of the pool that are not fresh: they stand in rows or in a suite, or the suite had one of their name"""
    models: int
    """that were scored on the suite's items"""
    lost: Result | None
    """the share of the suite's power to tell models apart that left; absent: nothing left, or too few models were
    scored, or the suite does not tell them apart. What the fresh items add is known once models were scored on them"""


def retire(store: Store, project: Project, name: str, pool: Path, to: Path, inspected: bool = False) -> Retired:
    """Write a suite's file anew: without the items that rows were made after, and, where `inspected`, without those
    that somebody looked at; each replaced, at its place, by an item of the pool that is like it and that nobody knows.

    pool: lines of the suite's own form. Like it: of the same expected value where answers are labels, and of the same
    slices. An item is known where its text stands in any row or in any version of any suite, as `data leaks` finds
    texts, or where the suite ever had an item of its name. The file as it is stays. Raises Unmet where `to` exists, for
    bad lines, and without the extra ``checks``; NotFound for a suite that the project file or the record has not.
    """
    part = next((one for one in project.file.suites if one.name == name), None)
    if part is None or name not in current_suites(store):
        known = ", ".join(one.name for one in project.file.suites) or "none"
        raise NotFound(f"no suite is called {name!r} in the project file and on record\n  expected: one of {known}")
    if to.exists():
        raise Unmet(f"{to} is there already", "a file that is not", "name another; a suite's file is not overwritten")
    own, offered = _lines(project, part, Path(part.path)), _lines(project, part, pool.absolute())
    ref, _ = current_suites(store)[name]
    states = exposure(store, name, power=False).states
    leave = EXPOSED if inspected else ("derived-from",)
    leaving = [item for item, _ in own if states.get(item.id) in leave]
    stale = _known(store, [item for item, _ in offered]) | {item.id for item, _ in offered if item.id in states}
    once = {_asked(item): (item, line) for item, line in reversed(offered) if item.id not in stale}
    free = [one for one in reversed(once.values()) if one[0].expected is not None]
    siblings = dict[str, tuple[Item, bytes]]()
    for item in leaving:
        like = next((one for one in free if _kind(part, one[0]) == _kind(part, item)), None)
        if like:
            free.remove(like)
            siblings[item.id] = like
    gone = {item.id for item in leaving}
    answered = Answered.of(store, ref)
    if gone:
        kept = [
            siblings[item.id][1] if item.id in siblings else None if item.id in gone else line for item, line in own
        ]
        with writing(to), open(to, "xb") as file:
            file.write(b"".join(line + b"\n" for line in kept if line is not None))
    return Retired(
        suite=name,
        file=to if gone else None,
        left={item.id: siblings[item.id][0].id if item.id in siblings else None for item in leaving},
        known=sorted(stale),
        models=len(answered.right),
        lost=answered.lost(gone),
    )


def _lines(project: Project, part: SuitePart, path: Path) -> list[tuple[Item, bytes]]:
    """Each item of a file of this suite's form, and its line. Raises Unmet."""
    items = project.items(replace(part, path=str(path)))
    lines = (project.folder / path).read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return list(zip(items, (line for line in lines if line.strip()), strict=True))


def _kind(part: SuitePart, item: Item) -> tuple[str, Any]:
    """What a sibling has the same."""
    label = normalised(item.expected) if part.scorer == "label" and isinstance(item.expected, str) else ""
    return label, sorted(item.slices.items())


def _asked(item: Item) -> str:
    return question_of({"prompt": item.input})


def _known(store: Store, pool: Sequence[Item]) -> set[str]:
    """Those whose text stands in a row, or in an item of any version of any suite."""
    require("checks", "numba")
    from whence.text import overlap

    there = list[str]()
    for batch in store.scan(["content"]):
        for content in batch["content"].drop_null().to_pylist():
            there += texts(json.loads(content))
    blobs: Collection[str] = dict.fromkeys(suite.items for _, suite in store.all(Suite))
    there += [question_of({"prompt": item["input"]}) for blob in blobs for item in store.get_lines(blob)]
    asked = [_asked(item) for item in pool]
    found = overlap.leaks(pa.array(there, pa.large_string()), pa.array(asked, pa.large_string()))
    return {
        pool[hit["item"]].id
        for hit in found.to_pylist()
        if hit["tier"] in ("exact", "normalised") or not hit["natural"]
    }
