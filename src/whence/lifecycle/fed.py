"""Rows that a trainer fed → rows of the store: found in the files that they came from, the others in a source of their
own. They come in whatever may be done with them: they were trained on, and the record says so."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from whence import data, govern
from whence.data.readers import read
from whence.data.values import Fault
from whence.lifecycle.matching import Match, Matcher
from whence.lifecycle.run import Told
from whence.lifecycle.spooled import Spool
from whence.project.look import LOOK_AT, guess
from whence.records import Json, Ref, Source, encode, texts, writing
from whence.store import RowSet, Store, row_set

ADMITTED = "all"
"""What stands for the rights of an ingest that admits every row."""
TOLD_EVERY = 1000
"""Rows between two signs of life."""
FACTS = ("subject", "group", "licence")
"""What a mapping may say of a row that the trainer had, besides its members."""


@dataclass(slots=True)
class SpooledRows:
    """The rows of a run as the store has them."""

    all: RowSet
    """that could be fed"""
    fed: RowSet | None
    """that were; None: nobody knows which of them"""
    ingests: list[Ref]
    """runs that read them"""
    lines: list[str]
    """what a person reads"""
    facts: dict[str, Json]
    """numbers for the report"""


@dataclass(slots=True)
class _File:
    """A file that rows came from."""

    name: str
    """its name, for people"""
    rows: RowSet
    """its rows"""
    run: Ref
    """the run that read it"""
    id: str | None
    """its field of ids"""


@dataclass(slots=True)
class _Tally:
    """What the rows fed came to."""

    matched: dict[int, bool] = field(default_factory=dict)
    """ordinal → whether it was fed whole"""
    could: RowSet = field(default_factory=lambda: row_set([]))
    """rows of files that could be fed"""
    own: list[Json] = field(default_factory=list)
    """spooled rows that are in no file"""
    cut: int = 0
    decoded: int = 0
    tokens: int = 0
    learnt: int = 0

    def take(self, found: Iterable[Match], fed: bool, whole: bool = True) -> None:
        """Rows of files that were found in a spooled one."""
        for match in found:
            self.could.add(match.ordinal)
            if fed:
                self.matched[match.ordinal] = self.matched.get(match.ordinal, False) or (match.whole and whole)

    def count(self, row: Json) -> None:
        """One spooled row that was fed."""
        self.cut += bool(row.get("cut"))
        self.decoded += bool(row["decoded"])
        self.tokens += row.get("tokens", 0)
        self.learnt += row.get("learnt", 0)


def spooled_rows(store: Store, spool: Spool, told: Told) -> SpooledRows:
    """Bring the rows of a spool in. The same spool brings in the same rows."""
    files = [_ingest(store, path, spool.begin, told) for path in spool.begin["data"]]
    every, ingests = row_set([]), [file.run for file in files]
    for file in files:
        every |= file.rows
    if spool.rows["records"] is None:  # a stream: all that is known is the files
        known = "upper bound" if files else "not known"
        return SpooledRows(every, None, ingests, [], {"rows": len(every), "rows_fed_known": known})
    fed = spool.fed()
    tally = _tally(store, spool, files, every, told)
    out = SpooledRows(tally.could, None if fed is None else row_set(tally.matched), ingests, [], {})
    unmatched = _own_rows(store, spool, tally.own, out, told) if tally.own else 0
    govern.search(store, lambda done, total: told.progress("spool", "people by what they are called", done, total))
    parts = {file.name: _part(file, tally) for file in files}
    out.facts = {
        "rows": len(out.all),
        "rows_fed": None if out.fed is None else len(out.fed),
        "rows_fed_known": "upper bound" if out.fed is None else "exact",
        "rows_cut": tally.cut,
        "rows_decoded": tally.decoded,
        "rows_in_no_file": unmatched if files else None,
        "files": parts,
        "records": spool.rows["records"],
        "packed": spool.rows["packed"],
        "tokens_in_an_epoch": tally.tokens,
        "tokens_learnt_in_an_epoch": tally.learnt,
    }
    for name, part in parts.items():
        rows, whole, cut = part["rows"], part["whole"], part["cut"]
        out.lines.append(
            f"{whole:,} of {rows:,} rows of {name} were fed whole, {cut:,} cut, {rows - whole - cut:,} not"
        )
    if files and unmatched:
        out.lines.append(f"{unmatched:,} fed rows are in no file: they are the source {_own_name(spool.begin)}")
    return out


def _part(file: _File, tally: _Tally) -> dict[str, int]:
    """How many rows of a file were fed, whole and cut."""
    fed = [whole for ordinal, whole in tally.matched.items() if ordinal in file.rows]
    return {"rows": len(file.rows), "whole": sum(fed), "cut": len(fed) - sum(fed)}


def _tally(store: Store, spool: Spool, files: list[_File], every: RowSet, told: Told) -> _Tally:
    tally, fed = _Tally(), spool.fed()
    matcher = Matcher(_contents(store, every)) if files else None
    names = {file.id for file in files if file.id}
    before: tuple[Json, bool] | None = None
    with (spool.folder / "rows.jsonl").open("rb") as lines:
        for number, line in enumerate(lines):
            if number % TOLD_EVERY == 0:
                told.progress("spool", "fed rows", number, spool.rows["rows"])
            row = json.loads(line)
            was_fed = fed is None or bool(fed[row["record"]])
            if was_fed:
                tally.count(row)
            found = _found(matcher, row, names, spool.rows["packed"]) if matcher else []
            tally.take(found, was_fed)
            if matcher and row.get("open") and before:
                tally.take(_across(matcher, before[0], row), before[1] or was_fed, before[1] and was_fed)
            if not found:
                tally.own.append(row)
            before = (row, was_fed)
    return tally


def _across(matcher: Matcher, before: Json, row: Json) -> list[Match]:
    """Rows that begin in one packed record and end in the next: those that are whole only where both are joined."""
    one, other = ("".join(texts(part["row"])) for part in (before, row))
    whole = [{m.ordinal for m in matcher.find({"text": text}, packed=True) if m.whole} for text in (one, other)]
    joined = matcher.find({"text": one + other}, packed=True)
    return [match for match in joined if match.whole and match.ordinal not in whole[0] | whole[1]]


def _found(matcher: Matcher, row: Json, names: Iterable[str], packed: bool) -> list[Match]:
    record = next((str(row["plain"][name]) for name in names if row["plain"].get(name) is not None), None)
    return matcher.find(row["row"], record=record, cut=row.get("cut", False), packed=packed)


def _contents(store: Store, rows: RowSet) -> Iterator[tuple[int, str, Json]]:
    for batch in store.scan(["ord", "record", "content"], rows):
        columns = (batch[name].to_pylist() for name in ("ord", "record", "content"))
        for ordinal, record, content in zip(*columns, strict=True):
            if content is not None:
                yield ordinal, record, json.loads(content)


# -- a source of their own ---------------------------------------------------------------------------------------------


def _own_rows(store: Store, spool: Spool, own: list[Json], out: SpooledRows, told: Told) -> int:
    """Rows that are in no file become a source of their own; how many of them were fed."""
    begin, fed = spool.begin, spool.fed()
    ids = [row["plain"].get("id") for row in own]
    named = None not in ids and len(set(map(str, ids))) == len(ids)
    mapping = _facts_of(own, begin)
    path, fed_names = spool.folder / "fed.jsonl", set()
    with writing(path), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for row in own:
            name = str(row["plain"]["id"]) if named else row["id"]
            facts = {field: row["plain"].get(field) for field in mapping.values()}
            file.write(encode({**facts, **row["row"], "id": name}) + b"\n")
            if fed is None or fed[row["record"]]:
                fed_names.add(name)
    source = _source(_own_name(begin), spool.folder.name, begin)
    run, rows = _read(store, source, path, mapping | {"id": "id"}, told)
    out.ingests.append(run)
    out.all |= rows
    if out.fed is not None:
        for batch in store.scan(["ord", "record"], rows):
            pairs = zip(batch["ord"].to_pylist(), batch["record"].to_pylist(), strict=True)
            out.fed |= row_set([ordinal for ordinal, record in pairs if record in fed_names])
    return len(fed_names)


def _own_name(begin: Json) -> str:
    return f"{begin.get('source') or begin['name']}-fed"


def _facts_of(own: list[Json], begin: Json) -> dict[str, str]:
    """Which columns that the trainer had say whom a row is about, and the like."""
    declared = begin["map"] or guess([row["plain"] | row["row"] for row in own[:LOOK_AT]])
    return {fact: column for fact, column in declared.items() if fact in FACTS}


# -- files -------------------------------------------------------------------------------------------------------------


def _ingest(store: Store, place: str, begin: Json, told: Told) -> _File:
    path: data.Place = place if data.is_url(place) else Path(place)
    mapping, last = begin["map"] or _guessed(path), place.rstrip("/").rpartition("/")[2]
    name = begin.get("source") if len(begin["data"]) == 1 else None
    run, rows = _read(store, _source(name or last.split(".")[0] or "data", last, begin), path, mapping, told)
    return _File(last, rows, run, mapping.get("id"))


def _guessed(path: data.Place) -> dict[str, str]:
    """A mapping from a look at the file's beginning."""
    with data.looked_at(path) as what:
        head = list(itertools.islice(read(what, data.detect_format(path)), LOOK_AT))
    records = [record for _, record in head if not isinstance(record, Fault)]
    return guess(records) if records else {}


def _source(name: str, location: str, begin: Json) -> Source:
    claims = {claim: begin.get(claim) for claim in ("licence", "consent_basis")}
    return Source(name=name, kind="unknown", location=location, **claims)


def _read(store: Store, source: Source, path: data.Place, mapping: Mapping[str, str], told: Told) -> tuple[Ref, RowSet]:
    """(ingest run, rows) of a file, every row admitted."""
    plan = data.Plan(source=source, path=path, format=data.detect_format(path), map=mapping, rights=ADMITTED)
    run, _ = data.ingest(
        store,
        plan,
        lambda _, subjects, *__: [None] * len(subjects),
        lambda done, total: told.progress("spool", source.name, done, total),
    )
    report = data.finished(store, run)
    return run, store.get_set(report.set) if report and report.set else row_set([])
