"""Evaluation items that stand in training rows, and how much of what is planted among these very rows is found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from whence.data.near import label_of
from whence.data.removal import question_of
from whence.records import Finding, Json, Ref, Snapshot, Suite, require, texts
from whence.store import Store, row_set

PLANTED = 100
"""items of each kind that are planted, at most"""
WHOLE = ("exact", "normalised")
"""tiers of items that stand in a row as they are, but for case and punctuation"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What of one suite stands in a snapshot."""

    suite: str
    """its name"""
    role: str
    """gate or dev"""
    items: int
    """of the suite, that are texts"""
    found: pa.Table
    """ordinal, item (its id), tier, coverage, bits, same_answer; everyday overlaps are left out"""
    everyday: int
    """items that rows have in common with them no more than is everyday in this data"""
    recall: Mapping[str, float]
    """kind of leak → share found of those that were planted among these rows"""
    blind: float
    """share of the items that are too short or too common to be told in any way but whole"""

    @property
    def whole(self) -> int:
        """Items that stand in a row as they are."""
        return self._items(lambda one: one["tier"] in WHOLE)

    @property
    def part(self) -> int:
        """Other items of which a row has more than is everyday."""
        return len(set(self.found["item"].to_pylist())) - self.whole

    @property
    def answered(self) -> int:
        """Of these, items that a row has with the same answer."""
        same = self._items(lambda one: one["tier"] in WHOLE or one["same_answer"])
        return same - self.whole

    def _items(self, which: Any) -> int:
        return len({one["item"] for one in self.found.to_pylist() if which(one)})


def leaks(store: Store, snapshot: Snapshot) -> Iterator[Leaks]:
    """The newest version of every suite against the snapshot. Raises Unmet without the extra ``checks``."""
    ordinals, asked, labels = list[int](), list[str](), list[str | None]()
    for batch in store.scan(["ord", "content"], store.snapshot_rows(snapshot)):
        for ordinal, text in zip(batch["ord"].to_pylist(), batch["content"].to_pylist(), strict=True):
            content = json.loads(text) if text else {}
            ordinals.append(ordinal)
            asked.append(question_of(content) or "\n".join(texts(content)))
            labels.append(label_of(content))
    newest = {suite.name: suite for _, suite in store.all(Suite)}
    for suite in newest.values():
        yield _leaks(suite, store.get_lines(suite.items), ordinals, asked, labels)


def _leaks(
    suite: Suite, items: Sequence[Json], ordinals: Sequence[int], asked: Sequence[str], labels: Sequence[str | None]
) -> Leaks:
    require("checks", "numba")
    from whence.text import overlap  # noqa: PLC0415  (numba, which is an extra)
    from whence.text.planted import KINDS, plant  # noqa: PLC0415

    put = [question_of({"prompt": item.get("input")}) for item in items]
    some = range(0, len(put), max(1, len(put) // PLANTED))
    planted = [(kind, i) for kind in KINDS for i in some]
    made = [text for kind in KINDS for text in plant([put[i] for i in some], kind, asked)]
    search = overlap.Suite(pa.array(put, pa.large_string()), pa.array([*asked, *made], pa.large_string()))
    table = search.leaks()
    row, item, natural = (table[name].to_numpy() for name in ("row", "item", "natural"))
    hits = {(int(r), int(i)) for r, i, n in zip(row, item, natural, strict=True) if r >= len(asked) and not n}
    hit = [(len(asked) + at, i) in hits for at, (_, i) in enumerate(planted)]
    told, real = search.told(), table.filter(pa.array((row < len(asked)) & ~natural))
    found = real["row"].to_pylist(), real["item"].to_pylist()
    return Leaks(
        suite=suite.name,
        role=suite.role,
        items=len(put),
        found=pa.table(
            {
                "ordinal": pa.array([ordinals[r] for r in found[0]], pa.uint64()),
                "item": pa.array([str(items[i]["id"]) for i in found[1]], pa.string()),
                "tier": real["tier"].cast(pa.string()),
                "coverage": real["coverage"],
                "bits": real["bits"],
                "same_answer": pa.array(
                    [
                        labels[r] is not None and labels[r] == items[i].get("expected")
                        for r, i in zip(*found, strict=True)
                    ],
                    pa.bool_(),
                ),
            }
        ),
        everyday=len(set(item[(row < len(asked)) & natural].tolist()) - set(found[1])),
        recall={
            kind: float(np.mean([yes for yes, (of, _) in zip(hit, planted, strict=True) if of == kind]))
            for kind in KINDS
            if planted
        },
        blind=1 - float(np.mean(told["part"].to_numpy(zero_copy_only=False))) if len(put) else 0.0,
    )


def leaked(store: Store, thing: Ref) -> Iterable[Finding]:
    """Whether items of suites stand in training rows, a finding a suite. No installed check yet, so no verdict waits
    for it: in short texts about one subject too much is told in part.

    Fails where items stand in rows whole; abstains where they stand there in part, with the same answer; a pass says
    how much of what was planted would have been found."""
    snapshot = store.get(thing)
    for one in leaks(store, snapshot) if isinstance(snapshot, Snapshot) else ():
        blind = f"; {one.blind:.0%} of the items can be told whole only" if one.blind else ""
        recall = ", ".join(f"{kind} {share:.0%}" for kind, share in one.recall.items())
        yield Finding(
            check="data.leaks",
            about=thing,
            verdict="fail" if one.whole else "abstain" if one.answered else "pass",
            severity="high" if one.role == "gate" else "low",
            message=f"{one.suite}: of {one.items} items {one.whole} stand in rows whole, {one.part} in part "
            f"({one.answered} with the same answer), {one.everyday} have no more than is everyday; planted here, "
            f"found: {recall}{blind}",
            statistic=float(one.whole),
            threshold=0.0,
            n=one.items,
            evidence=(store.put_table(one.found),) if one.found.num_rows else (),
            rows=store.put_set(row_set(one.found["ordinal"].to_pylist())) if one.found.num_rows else None,
        )
