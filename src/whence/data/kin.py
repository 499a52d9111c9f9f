"""Leakage that no text match sees: rows of the same conversation or about the same person as an evaluation item, rows
that were made after one, and rows of a copy of where it comes from. Rows made from such rows count as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whence.records import Finding, Ref, Snapshot, Source, Suite
from whence.store import RowSet, Store, row_set, to_array
from whence.store.suites import current_suites

TIERS = ("conversation", "subject", "inspired_by", "republished")
"""How a row may be kin to an item."""
COLUMNS = ["ord", "subject", "group", "inspired_by"]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """What of a snapshot is kin to one suite."""

    suite: str
    """its name"""
    role: str
    """gate or dev"""
    items: int
    """of the suite"""
    grouped: int
    """items that name a person or a conversation"""
    rows: int
    """of the snapshot"""
    named: int
    """rows that name what the items' groups are"""
    lost: int
    """rows that name items that the suite does not have (any more)"""
    found: pa.Table
    """ordinal; item (its id, null: the whole suite); tier; evidence (pseudonym of the person or conversation,
    ``SUITE:ITEM``, or what is said to be a copy of what); because (ordinal of the row that this one was made from and
    that is kin itself, else null). Of rows and items with one evidence every one is there, and not every pair"""
    splits: Mapping[str, int]
    """source that is a split of the same → its rows; no leak by itself"""

    def leaked(self, tier: str | None = None) -> int:
        """Items that any row is kin to, or in one tier."""
        own = self.found if tier is None else self.found.filter(pc.equal(self.found["tier"], tier))
        return self.items if own["item"].null_count else pc.count_distinct(own["item"]).as_py()


def kin_of(store: Store, snapshot: Snapshot, suite: Suite) -> Kin:
    """The rows of a snapshot that are kin to a suite's items."""
    items, rows = store.get_lines(suite.items), store.snapshot_rows(snapshot)
    ties = _Ties(store, suite, [item["id"] for item in items], [item.get("group") for item in items])
    inside = np.zeros(store.committed() + 1, bool)
    inside[to_array(rows).astype(np.int64)] = True
    named = lost = 0
    for batch in store.scan(COLUMNS):
        mine = inside[batch["ord"].to_numpy()]
        named += int(np.count_nonzero(mine & ties.named(batch)))
        lost += int(np.count_nonzero(mine & ties.meet(batch)))
    splits = ties.sources()
    return Kin(
        suite=suite.name,
        role=suite.role,
        items=len(items),
        grouped=sum(item.get("group") is not None for item in items),
        rows=len(rows),
        named=named,
        lost=lost,
        found=ties.table(inside),
        splits={name: count for name, held in splits.items() if (count := len(held & rows))},
    )


def kin(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``data.kin``: no row may be of the conversation or the person of an evaluation item, or made after one.

    A finding a suite. Fails where they are to a gate's; abstains, and holds nothing up, where it cannot be known, as no
    item or no row names a person or a conversation. A split of the same source is no leak by itself, and is told of."""
    snapshot = store.get(thing)
    if not isinstance(snapshot, Snapshot):
        return
    suites = {name: suite for name, (_, suite) in current_suites(store).items()}
    for suite in suites.values():
        one = kin_of(store, snapshot, suite)
        known, leaked = one.grouped and one.named, one.leaked()
        yield Finding(
            check="data.kin",
            about=thing,
            verdict="fail" if leaked else "pass" if known else "abstain",
            severity="high" if one.role == "gate" and (leaked or known) else "low",
            message=_said(one) + "; do: whence data drop --leaks" * bool(leaked),
            statistic=float(leaked),
            threshold=0.0,
            n=one.items,
            evidence=(store.put_table(one.found),) if one.found.num_rows else (),
            rows=store.put_set(row_set(one.found["ordinal"].to_numpy())) if one.found.num_rows else None,
        )
    if astray := _astray(store, snapshot, suites):
        yield Finding(
            check="data.kin",
            about=thing,
            verdict="abstain",
            severity="low",
            message=f"{_count(astray, 'row')} inspired by items of suites that are not known",
            statistic=float(astray),
            n=snapshot.rows,
        )


def _said(one: Kin) -> str:
    """A line for a person, without a name of any."""
    parts = []
    for tier in TIERS:
        own = one.found.filter(pc.equal(one.found["tier"], tier))
        if own.num_rows:
            ties, rows = (pc.count_distinct(own[name]).as_py() for name in ("evidence", "ordinal"))
            what = _count(ties, tier) if tier in ("conversation", "subject") else tier.replace("_", " ")
            parts.append(f"{what}: {_count(one.leaked(tier), 'item')}, {_count(rows, 'row')}")
    said = f"{one.suite}: {one.leaked():,} of {_count(one.items, 'item')} kin to rows"
    said += f" ({'; '.join(parts)})" * bool(parts)
    if one.grouped and one.named:
        rows = f"{one.named:,} of {_count(one.rows, 'row')}"
        said += f"; {_count(one.grouped, 'item')} and {rows} name whom or what they are of"
    else:
        said += f"; by person or conversation not known: no {'row' if one.grouped else 'item'} names one"
    if one.splits:
        listed = ", ".join(f"{name} ({_count(rows, 'row')})" for name, rows in one.splits.items())
        said += f"; a split of the same source, which is no leak by itself: {listed}"
    return said + f"; {_count(one.lost, 'row')} inspired by items that it does not have (any more)" * bool(one.lost)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _astray(store: Store, snapshot: Snapshot, known: Iterable[str]) -> int:
    """Rows that are inspired by items of suites that there are not."""
    names, count = pa.array([*known], pa.string()), 0
    for batch in store.scan(["inspired_by"], store.snapshot_rows(snapshot)):
        said = batch["inspired_by"].drop_null()
        suites = pc.list_element(pc.split_pattern(pc.list_flatten(said), ":", max_splits=1), 0)
        strange = pc.invert(pc.is_in(suites, names)).to_numpy(zero_copy_only=False)
        count += len(np.unique(pc.list_parent_indices(said).to_numpy()[strange]))
    return count


class _Ties:
    """What ties rows to the items of one suite. Each tie has a number: that of a conversation, of a person, of an item
    or of a source."""

    def __init__(self, store: Store, suite: Suite, ids: Sequence[str], groups: Sequence[str | None]) -> None:
        self.store, self.suite, self.ids = store, suite, ids
        distinct = list(dict.fromkeys(one for one in groups if one is not None))
        pseudonyms = [store.keys.pseudonym(one) for one in distinct]
        self.wanted = {
            "conversation": pa.array([] if suite.groups_are == "subject" else distinct, pa.string()),
            "subject": pa.array([] if suite.groups_are == "group" else pseudonyms, pa.string()),
            "inspired_by": pa.array([f"{suite.name}:{id}" for id in ids], pa.string()),
        }
        self.first = {"conversation": 0, "subject": len(distinct), "inspired_by": 2 * len(distinct)}
        self.tiers = ["conversation"] * len(distinct) + ["subject"] * len(distinct) + ["inspired_by"] * len(ids)
        self.evidence = [*pseudonyms, *pseudonyms, *self.wanted["inspired_by"].to_pylist()]
        place = {one: n for n, one in enumerate(distinct)}
        held = [(place[one], n) for n, one in enumerate(groups) if one is not None]
        self.of_items = [
            *((tie + first, n) for first in (0, len(distinct)) for tie, n in held),
            *((2 * len(distinct) + n, n) for n in range(len(ids))),
        ]
        """(tie, number of an item) of each item of each tie"""
        self.of_rows: list[tuple[Numbers, Numbers]] = []
        """(ordinals, ties)"""

    def named(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Rows that name what the items' groups are."""
        asked = [
            column for tier, column in (("conversation", "group"), ("subject", "subject")) if len(self.wanted[tier])
        ]
        return np.logical_or.reduce(
            [np.zeros(len(batch), bool), *(batch[name].is_valid().to_numpy(zero_copy_only=False) for name in asked)]
        )

    def meet(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Keep the rows that have any of these ties by themselves; returns those that name items that there are not."""
        ordinals = batch["ord"].to_numpy().astype(np.int64)
        self._keep("conversation", batch["group"], ordinals)
        self._keep("subject", batch["subject"], ordinals)
        astray = np.zeros(len(batch), bool)
        if batch["inspired_by"].null_count < len(batch):
            names, at = pc.list_flatten(batch["inspired_by"]), pc.list_parent_indices(batch["inspired_by"]).to_numpy()
            self._keep("inspired_by", names, ordinals[at])
            own = pc.starts_with(names, f"{self.suite.name}:")
            astray[at[pc.and_not(own, pc.is_in(names, self.wanted["inspired_by"])).to_numpy(zero_copy_only=False)]] = (
                True
            )
        return astray

    def _keep(self, tier: str, column: pa.Array, ordinals: Numbers) -> None:
        met = pc.index_in(column, self.wanted[tier])
        if met.null_count < len(met):
            at = np.flatnonzero(met.is_valid().to_numpy(zero_copy_only=False))
            self.of_rows.append((ordinals[at], met.drop_null().to_numpy().astype(np.int64) + self.first[tier]))

    def sources(self) -> dict[str, RowSet]:
        """Keep the rows of sources that are the same as the suite; returns sources that are a split of the same."""
        claims = {source.name: source for _, source in self.store.all(Source)}
        starts = [one for one in (self.suite.republishes, self.suite.part_of) if one]
        same = _above(claims, starts[:1] if self.suite.republishes else [], "republishes")
        family, splits = _above(claims, starts, "republishes", "part_of"), dict[str, RowSet]()
        for name, rows in self.store.index().sets["source"].items():
            copies = _above(claims, [name], "republishes")
            if met := _meeting(copies, same, self.suite.name):
                said = [name] * (name != met) + [self.suite.name] * (met in same)
                self.evidence.append(", ".join(f"{one} republishes {met}" for one in said))
                self.tiers.append("republished")
                self.of_rows.append((to_array(rows).astype(np.int64), np.full(len(rows), len(self.tiers) - 1)))
            elif _meeting(_above(claims, [name], "republishes", "part_of"), family, self.suite.name):
                splits[name] = rows
        return splits

    def table(self, inside: npt.NDArray[np.bool_]) -> pa.Table:
        """All rows with a tie that are inside, with items of the same tie: as many pairs as the longer side of a tie
        has, so that every row and every item is there."""
        ordinals, ties, because = self._heirs()
        kept = inside[ordinals]
        ordinals, ties, because = (
            one[kept][np.argsort(ties[kept], kind="stable")] for one in (ordinals, ties, because)
        )
        tied, numbers = np.array(sorted(self.of_items), np.int64).reshape(-1, 2).T
        rows, items = (np.bincount(one, minlength=len(self.tiers)) for one in (ties, tied))
        pairs = np.where(rows > 0, np.maximum(rows, items), 0)
        tie = np.repeat(np.arange(len(pairs)), pairs)
        within = np.arange(len(tie)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        row = (np.cumsum(rows) - rows)[tie] + within % np.maximum(rows, 1)[tie]
        whole = items[tie] == 0
        item = np.where(whole, 0, (np.cumsum(items) - items)[tie] + within % np.maximum(items, 1)[tie])
        ids = pa.array(numbers[item] if len(numbers) else np.zeros(len(item), np.int64), mask=whole)
        return pa.table(
            {
                "ordinal": ordinals[row].astype(np.uint64),
                "item": pa.array(self.ids, pa.string()).take(ids),
                "tier": pa.array(self.tiers, pa.string()).take(tie),
                "evidence": pa.array(self.evidence, pa.string()).take(tie),
                "because": pa.array(because[row].astype(np.uint64), mask=because[row] == ordinals[row]),
            }
        )

    def _heirs(self) -> tuple[Numbers, Numbers, Numbers]:
        """(row, tie, the row that has it by itself) of each tie of each row, its own first, else its ancestors'."""
        none, index = np.zeros(0, np.int64), self.store.index()
        rows, ties = (np.concatenate([none, *(one[side] for one in self.of_rows)]) for side in (0, 1))
        parts, seen, because = list[tuple[Numbers, Numbers, Numbers]](), none, rows
        while len(rows):
            marks, first = np.unique(rows * len(self.tiers) + ties, return_index=True)
            first = first[~np.isin(marks, seen, assume_unique=True)]
            seen = np.union1d(seen, marks)
            rows, ties, because = rows[first], ties[first], because[first]
            parts.append((rows, ties, because))
            children, counts = index.children_of(rows.astype(np.uint64))
            rows, ties, because = children.astype(np.int64), np.repeat(ties, counts), np.repeat(because, counts)
        return (
            tuple(np.concatenate([none, *side]) for side in zip(*parts, strict=True)) if parts else (none, none, none)
        )


def _above(claims: Mapping[str, Source], names: Sequence[str], *keys: str) -> list[str]:
    """These sources and what they are said to come from, at any distance."""
    found = list(dict.fromkeys(names))
    for name in found:
        said = (getattr(claims[name], key) for key in keys if name in claims)
        found += [one for one in said if one and one not in found]
    return found


def _meeting(source: Sequence[str], suite: Sequence[str], name: str) -> str | None:
    """What both come from; the suite's own name, where the source comes from it."""
    return next((one for one in source if one in suite), name if name in source[1:] else None)
