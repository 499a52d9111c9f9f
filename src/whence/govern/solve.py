"""Check ``rights.licences``: every row's licence, and that of whatever it was made from, against the declared use.

A row carries the most restrictive right of itself and its ancestors: it is counted under each licence that reaches it.
What a model wrote is under the terms on what that model writes as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pyroaring import BitMap64

from whence.govern.corrected import unheeded, unheeded_line
from whence.govern.licences import DUTIES, Ruling, rule, terms_of
from whence.govern.rights import Book, amended, blocked
from whence.govern.scopes import ABOUT, rows_of
from whence.govern.uses import declared
from whence.records import Adapter, Base, Closure, Finding, Ref, Run, Snapshot, Source, Use, sha256
from whence.records.judgement import Outcome
from whence.store import RowSet, Store, row_set

ID = "rights.licences"
SAYS: dict[str, Outcome] = {"allowed": "pass", "unknown": "abstain", "barred": "fail"}
DECLARE = "say what the models are for under [use] in whence.toml (docs/licences.md)"


def licences(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``rights.licences``: may the rows of a snapshot, and an adapter's base, be used for what was declared?"""
    record = store.get(thing)
    if isinstance(record, Adapter):
        yield from _base(store, thing, record)
    if not isinstance(record, Snapshot):
        return
    found = declared(store, record.name)
    yield from _corrected(store, thing, record, found[1] if found else None)
    if found is None:
        # low: it informs and does not decide, so that a project of before this check is judged as it was
        said = f"nothing says what {record.name} is for, so no licence was held against it; {DECLARE}"
        yield Finding(check=ID, about=thing, verdict="abstain", severity="low", message=said, n=record.rows)
        return
    yield from _snapshot(store, thing, record, *found)


def _snapshot(store: Store, thing: Ref, snapshot: Snapshot, ref: Ref, use: Use) -> Iterator[Finding]:
    rows = store.snapshot_rows(snapshot)
    for said, ruling, reach in (*_claimed(store, rows, use), *_generated(store, rows, use)):
        yield Finding(
            check=ID,
            about=thing,
            verdict="fail" if said == NOTHING else SAYS[ruling.verdict],
            severity="high",
            message=f"{said}: {len(reach):,} of {snapshot.rows:,} rows: {_told(ruling)}",
            statistic=float(len(reach)),
            n=snapshot.rows,
            evidence=(ref,),
            rows=store.put_set(reach),
        )


def _corrected(store: Store, thing: Ref, snapshot: Snapshot, use: Use | None) -> Iterator[Finding]:
    """Rows that were read before the licence of their source was claimed anew. It decides where the new claim is no
    permission."""
    rows = store.snapshot_rows(snapshot)
    parents: list[Any] = [store.get(ref) for ref in snapshot.parents]
    runs = [one for one in parents if isinstance(one, Run) and one.activity == "ingest"]
    sources = {source.name: source for source in (store.get(run.used[0], Source) for run in runs)}
    for source in sources.values():
        for licence, members in unheeded(store, source):
            if reach := members & rows:
                free = use is None or rule(source.licence, use).verdict == "allowed"
                yield Finding(
                    check=ID,
                    about=thing,
                    verdict="abstain",
                    severity="low" if free else "high",
                    message=unheeded_line(source, licence, len(reach)),
                    statistic=float(len(reach)),
                    n=snapshot.rows,
                    rows=store.put_set(reach),
                )


def _base(store: Store, thing: Ref, adapter: Adapter) -> Iterator[Finding]:
    """The base is under a licence as well; the use is that of the snapshot's project."""
    closure = store.get(adapter.closure, Closure)
    if closure.base is None or closure.snapshot is None:
        return
    found = declared(store, store.get(closure.snapshot, Snapshot).name)
    if found is not None:
        said = store.get(closure.base, Base).licence
        ruling = rule(said, found[1])
        yield Finding(
            check=ID,
            about=thing,
            verdict=SAYS[ruling.verdict],
            severity="high",
            message=f"its base, {shown(said) if said else NOTHING}: {_told(ruling)}",
            evidence=(closure.base, found[0]),
        )


def _told(ruling: Ruling) -> str:
    duties = "; ".join(DUTIES[duty] for duty in ruling.duties)
    where = "" if ruling.clause == "none" else f" ({ruling.clause})"
    return f"{ruling.verdict}: {ruling.why}{where}" + (f"; duties: {duties}" if duties else "")


NOTHING = "no licence"
Reached = tuple[str, Ruling, RowSet]
"""(what is said, what follows, rows that it reaches)."""


def _claimed(store: Store, rows: RowSet, use: Use) -> Iterator[Reached]:
    """What rows came under and what was named later; a person's grant of a licence replaces all before it."""
    index, held = store.index(), Book.of(store).standings()
    later, replaced = list(amended(store, held)), BitMap64()
    for about, terms, after, before in later:
        replaced |= after if held[about].decided else BitMap64()
        ruling, name = (
            rule(terms.licence, use),
            shown(terms.licence) if terms.licence else "terms that nobody has named",
        )
        for part, answer, when in ((after, ruling, "since"), (before, _undecided(ruling), "collected before")):
            reach = (part | index.descendants(part)) & rows
            if reach:
                yield f"{name}, {when} {terms.since:%Y-%m-%d}", answer, reach
    bare = BitMap64()
    bare.add_range(0, index.covers)
    bare -= replaced
    for name, members in index.sets["licence"].items():
        bare -= members
        members -= replaced
        reach = (members | index.descendants(members)) & rows
        if reach:
            yield shown(name), rule(name, use), reach
    reach = (bare | index.descendants(bare)) & rows
    if reach:
        yield NOTHING, rule(None, use), reach


def _undecided(ruling: Ruling) -> Ruling:
    """What a licence says of rows that were collected before it."""
    if ruling.verdict == "allowed":
        return ruling
    why = "they may stand under the licence of before, a person has to say so: whence rights grant --to"
    return Ruling(verdict="unknown", why=why, clause=ruling.clause)


def _generated(store: Store, rows: RowSet, use: Use) -> Iterator[Reached]:
    index = store.index()
    for name, members in index.sets["generator"].items():
        reach = (members | index.descendants(members)) & rows
        if not reach:
            continue
        terms = terms_of(name, use)
        if terms is None:
            do = "its terms are not known: say them under use.generators"
            yield f"written by {shown(name)}", Ruling(verdict="unknown", why=do, clause="none"), reach
        else:
            yield f"written by {shown(name)}, {terms}", rule(terms, use), reach


def disputed_rows(store: Store) -> RowSet:
    """Rows that a dispute alone keeps from training, and rows made from them; nobody withdrew them."""
    found, index, rows = blocked(store), store.index(), row_set([])
    disputed = [about.partition(":") for about, one in found.why.items() if one.state == "disputed"]
    for kind in {kind for kind, _, _ in disputed}.intersection(ABOUT):
        rows |= rows_of(store, kind, [name for of, _, name in disputed if of == kind])
    return (rows | index.descendants(rows)) - found.breach - index.descendants(found.breach)


def shown(name: str) -> str:
    """A licence's or model's name as a finding may repeat it: what looks like a sentence is named by its digest, since
    a field of rows may hold anything and a finding is kept for good."""
    if len(name) <= 64 and re.fullmatch(r"[\w.+:/()@-]+( (AND|OR|WITH|and|or) [\w.+:/()@-]+| [\w.+-]+){0,4}", name):
        return name
    return f"a text of {len(name)} characters, {sha256(name.encode())[:19]}…"
