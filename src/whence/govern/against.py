"""What a project claims of a source, against what others say of it.

``rights.audited``: the adopted audit. ``rights.declared``: the text of a licence, where the evidence is a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from whence.govern.audit import claims, place_of
from whence.govern.detect import detect
from whence.govern.licences import Class, classes, parts, rule
from whence.govern.solve import shown
from whence.govern.uses import declared
from whence.records import Claim, Finding, Ref, Snapshot, Source
from whence.store import RowSet, Store

ID = "rights.audited"
STRICT = ("any", "non-commercial", "academic")
LONGEST = 1 << 20
"""bytes of a text that are read"""
LEAST = 5
"""letters of a name that is taken for a data set's"""


def audited(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``rights.audited``: no source of a snapshot is claimed to be freer than an audit found it."""
    record = store.get(thing)
    if not isinstance(record, Snapshot):
        return
    known = [one for one in claims(store) if one.claimant == "audit"]
    if not known:
        return
    found = declared(store, record.name)
    for source, rows in _sources(store, record):
        matched, sure = _matching(source, known)
        for claim in _strictest(matched):
            freer = _freer(classes(source.licence), classes(claim.licence))
            settled = found is not None and rule(claim.licence, found[1]).verdict == "allowed"
            yield _finding(thing, store, rows, source, claim, freer, sure and not settled)


def texts(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``rights.declared``: the text that a source names as evidence is the licence that it claims."""
    record = store.get(thing)
    for source, rows in _sources(store, record) if isinstance(record, Snapshot) else ():
        text = _evidence(store, source)
        if text is None:
            continue
        found, mine = detect(text), source.licence or "none"
        same = found is not None and found.id in parts(mine)
        freer = found is not None and bool(_freer(classes(mine), classes(found.id)))
        said = f"is {found.id} (score {found.score:.2f})" if found else "is no licence that is known"
        yield Finding(
            check="rights.declared",
            about=thing,
            verdict="abstain" if found is None else "pass" if same else "fail",
            severity="high" if freer and not same else "low",
            message=f"source {source.name}, claimed {shown(mine)}: the text that it names as evidence {said}",
            statistic=found.score if found else None,
            rows=store.put_set(rows),
        )


def _evidence(store: Store, source: Source) -> str | None:
    """What the file says that a source names as evidence, where it names one beside the store."""
    if not source.evidence or len(source.evidence) > 1024 or "\0" in source.evidence:
        return None
    place = store.root.parent / source.evidence
    try:
        with place.open("rb") as file:
            return file.read(LONGEST).decode("utf-8", "replace")
    except OSError:
        return None


def _sources(store: Store, snapshot: Snapshot) -> Iterable[tuple[Source, RowSet]]:
    """The sources of a snapshot's rows, each with its rows there."""
    rows = store.snapshot_rows(snapshot)
    sets = {name: members & rows for name, members in store.index().sets["source"].items()}
    named = store.named(Source, [name for name, members in sets.items() if members])
    return [(source, sets[name]) for name, source in sorted(named.items())]


def _matching(source: Source, known: list[Claim]) -> tuple[list[Claim], bool]:
    """Claims of the data set that this is, and whether its place says so; its name alone may be a coincidence."""
    places = {place_of(text) for text in (source.location, source.evidence or "") if text} - {None}
    here = [one for one in known if places & set(one.places)]
    if here:
        return here, True
    name = _letters(source.name)
    return [one for one in known if len(name) >= LEAST and _letters(one.dataset) == name], False


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.casefold())


def _strictest(matched: list[Claim]) -> list[Claim]:
    """Of several data sets at one place, the claim that allows least; what is not settled allows nothing."""
    return sorted(matched, key=lambda one: _rank(classes(one.licence)), reverse=True)[:1]


def _rank(one: Class | None) -> tuple[int, bool, bool]:
    return (3, True, True) if one is None else (STRICT.index(one.use), one.share_alike, one.attribution)


def _freer(mine: Class | None, theirs: Class | None) -> bool | None:
    """Whether what I claim allows more; None where theirs is not settled, or mine is not."""
    if mine is None or theirs is None:
        return None
    return (
        STRICT.index(mine.use) < STRICT.index(theirs.use)
        or mine.share_alike < theirs.share_alike
        or mine.attribution < theirs.attribution
    )


def _finding(
    thing: Ref, store: Store, rows: RowSet, source: Source, claim: Claim, freer: bool | None, high: bool
) -> Finding:
    said = "freer than audited" if freer else "not freer than audited" if freer is False else "not settled by the audit"
    mine, theirs = source.licence or "none", " AND ".join(map(shown, claim.said)) or "none"
    return Finding(
        check=ID,
        about=thing,
        verdict="fail" if freer else "pass" if freer is False else "abstain",
        severity="high" if high and freer else "low",
        message=f"source {source.name}, claimed {shown(mine)}: {said}; {shown(claim.dataset)} is audited as {theirs}",
        statistic=float(len(rows)),
        rows=store.put_set(rows),
    )
