"""Records → rows: content and ids, rights, parents, quarantine; written batch by batch."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whence.data.readers import KEEP_BYTES, Fault
from whence.data.shape import FieldMap, content_of
from whence.records import Json, Ref, RunReport, Source, encode_parsed
from whence.store import RowSet, Store, batch, row_set

BATCH_ROWS = 65_536

Admit = Callable[[Source, Sequence[str | None], Sequence[str | None]], Sequence[str | None]]
"""``admit(source, subjects, licences)`` → for each row None, or the code of the right that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One file of one source, and how to read it."""

    source: Source
    path: Path
    format: str
    map: Mapping[str, str | Sequence[str]]
    rights: str
    """digest of the rights that `admit` decides by: a changed right is a new run"""


@dataclass(slots=True)
class _Pending:
    """Rows of one batch, by column; in step with each other."""

    lines: list[int] = field(default_factory=list)
    raws: list[Any] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    subjects: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    licences: list[str | None] = field(default_factory=list)
    slices: list[str | None] = field(default_factory=list)
    parents: list[list[str] | None] = field(default_factory=list)
    generators: list[str | None] = field(default_factory=list)


class Work:
    """One ingest under way."""

    def __init__(self, store: Store, plan: Plan, admit: Admit) -> None:
        self.store, self.plan, self.admit = store, plan, admit
        self.mapping = FieldMap.of(plan.map)
        self.before = store.index()  # no row of this file can meet another: their ids differ
        self.pending = _Pending()
        self.seen: set[str] = set()
        self.occurrences: Counter[bytes] = Counter()
        self.hashers: dict[str | None, Any] = {}
        self.pseudonyms: dict[str, str] = {}
        self.quarantine: list[tuple[int, str, str]] = []
        self.entries: list[Any] = []
        self.rows: RowSet = row_set([])
        self.new = self.lines = 0
        name = plan.source.name.encode()
        self.id_prefix = b"%d:%b" % (len(name), name)

    # -- one record --------------------------------------------------------------------------------------------------

    def take(self, number: int, record: dict[str, Json] | Fault) -> None:
        """Turn a record into a pending row, or put it into quarantine."""
        self.lines += 1
        if isinstance(record, Fault):
            self.refuse(number, record.code, record.reason, record.raw)
            return
        content, fault = content_of(record, self.mapping)
        if fault:
            self.refuse(number, "field" if fault.startswith("field") else "shape", fault, record)
            return
        try:
            text = encode_parsed(content)
            data = text.encode()
            facts = self.facts_of(record)
        except (ValueError, TypeError) as error:
            kind = "encoding" if isinstance(error, UnicodeEncodeError) else "value"
            self.refuse(number, kind, "a lone surrogate is not text" if kind == "encoding" else str(error), record)
            return
        self.add(number, record, content["shape"], text, data, facts)

    def facts_of(self, record: Mapping[str, Json]) -> dict[str, Json]:
        """The mapped facts of a record, each as text (parents as a list of texts). Raises ValueError."""
        facts: dict[str, Json] = {}
        for fact, where in self.mapping.facts.items():
            value = record.get(where)
            if fact == "parents":
                facts[fact] = [str(v) for v in value] if isinstance(value, list) else [str(value)] if value else None
            elif value is None:
                facts[fact] = None
            elif isinstance(value, (str, int)) and not isinstance(value, bool):
                facts[fact] = str(value)
            else:
                raise ValueError(f"{where!r} is {type(value).__name__}, expected text")
        if "id" in self.mapping.facts and not facts["id"]:
            raise ValueError(f"{self.mapping.facts['id']!r}, which the mapping reads ids from, is missing")
        return facts

    def add(self, number: int, raw: Any, shape: str, text: str, data: bytes, facts: dict[str, Json]) -> None:
        """Queue one row; its id is keyed over source, record id and content digest (see records.row_id)."""
        subject = facts.get("subject")
        if subject is not None:
            if subject not in self.pseudonyms:
                self.pseudonyms[subject] = self.store.keys.pseudonym(subject)
            subject = self.pseudonyms[subject]
        hasher = self.hashers.get(subject)
        if hasher is None:
            key = self.store.keys.get(f"subject:{subject}" if subject else f"source:{self.plan.source.name}")
            hasher = self.hashers[subject] = hashlib.blake2b(digest_size=32, key=key)
        state = hasher.copy()
        state.update(data)
        digest = state.digest()
        record = facts.get("id")
        if record is None:
            self.occurrences[digest] += 1
            record = f"#{self.occurrences[digest]}"
        elif record in self.seen:
            self.refuse(number, "repeated_id", "an earlier line of this file has the same id", raw)
            return
        else:
            self.seen.add(record)
        name = record.encode()
        state = hasher.copy()
        state.update(b"%b%d:%b%b" % (self.id_prefix, len(name), name, digest))
        self.queue(number, raw, (state.digest(), record, shape, text, digest, subject), facts)

    def queue(self, number: int, raw: Any, known: tuple[Any, ...], facts: dict[str, Json]) -> None:
        """Append to the pending columns; flush a full batch."""
        p = self.pending
        for column, value in zip((p.ids, p.records, p.shapes, p.contents, p.digests, p.subjects), known, strict=True):
            column.append(value)
        p.lines.append(number)
        p.raws.append(raw)
        p.groups.append(facts.get("group"))
        p.licences.append(facts.get("licence") or self.plan.source.licence)
        p.slices.append(self.slices_of(raw) if self.mapping.slices else None)
        p.parents.append(facts.get("parents"))
        p.generators.append(facts.get("generator"))
        if len(p.ids) >= BATCH_ROWS:
            self.flush()

    def slices_of(self, record: Mapping[str, Json]) -> str | None:
        """The slice fields as canonical JSON of texts."""
        values = {f: str(record[f]) for f in self.mapping.slices if record.get(f) is not None}
        return encode_parsed(values) if values else None

    def refuse(self, number: int, code: str, reason: str, raw: Any) -> None:
        """Into quarantine: line, code and a digest in the record; the words in the journal."""
        kept = raw if isinstance(raw, bytes) else json.dumps(raw, default=str).encode()[:KEEP_BYTES]
        words = {"line": kept.decode("utf-8", "backslashreplace"), "reason": reason}
        entry = self.store.journal("quarantine").append(words)
        self.entries.append(entry)
        self.quarantine.append((number, code, entry.digest))

    # -- one batch ---------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Ask for rights, pass over rows that are there, write the rest."""
        p, self.pending = self.pending, _Pending()
        if not p.ids:
            return
        decisions = self.admit(self.plan.source, p.subjects, p.licences)
        ids = np.frombuffer(b"".join(p.ids), np.uint8).reshape(-1, 32)
        present = self.before.find(ids)
        self.rows |= row_set(present[present >= 0].astype(np.uint64))
        write = []
        for i in np.flatnonzero(present < 0).tolist():  # a right that ended later is curation's matter, row by row
            code = decisions[i]
            if code is None:
                write.append(i)
            else:
                self.refuse(p.lines[i], code, RIGHTS_REASONS.get(code, code), p.raws[i])
        for part in self.with_parents(p, write):
            self.write(p, *part)

    def write(self, p: _Pending, chosen: list[int], parents: list[list[int]]) -> None:
        """Write the chosen rows of a batch."""
        source = [self.plan.source.name] * len(chosen)

        def pick(column: list[Any]) -> list[Any]:
            return [column[i] for i in chosen]

        table = batch(
            [
                *(pick(p.ids), source, pick(p.records), pick(p.shapes), pick(p.contents), pick(p.digests)),
                *(pick(p.subjects), pick(p.groups), pick(p.licences), pick(p.slices), parents, pick(p.generators)),
            ]
        )
        first = self.store.add_rows(table, self.plan.source.name)
        self.rows |= row_set(range(first, first + len(chosen)))
        self.new += len(chosen)

    def with_parents(self, p: _Pending, chosen: list[int]) -> Iterator[tuple[list[int], list[list[int]]]]:
        """(rows, their parents' ordinals), in rounds: a row whose parent stands in the same batch waits for it."""
        waiting = [i for i in chosen if p.parents[i]]
        ready = [i for i in chosen if not p.parents[i]]
        if ready:
            yield ready, [[] for _ in ready]
        while waiting:
            known = self.ordinals_of({name for i in waiting for name in p.parents[i] or ()})
            ready = [i for i in waiting if all(name in known for name in p.parents[i] or ())]
            if not ready:
                break
            yield ready, [[known[name] for name in p.parents[i] or ()] for i in ready]
            waiting = [i for i in waiting if i not in set(ready)]
        for i in waiting:
            self.refuse(p.lines[i], "parent", "a row that it was made from is not in the store", p.raws[i])

    def ordinals_of(self, names: set[str]) -> dict[str, int]:
        """``SOURCE:RECORD``, or a record of this source → its newest ordinal, where there is one."""
        by_source: dict[str, list[tuple[str, str]]] = {}
        for name in names:
            source, colon, record = name.partition(":")
            where = (source, record) if colon else (self.plan.source.name, name)
            by_source.setdefault(where[0], []).append((name, where[1]))
        found = {}
        for source, wanted in by_source.items():
            at = self.store.records_at(source, [record for _, record in wanted])
            found.update({name: at[record][-1] for name, record in wanted if record in at})
        return found

    # -- the end -----------------------------------------------------------------------------------------------------

    def report(self, run: Ref, started: Any, cpu_s: float) -> RunReport:
        """What this ingest did; every line is a row, a row that was there, or in quarantine."""
        self.store.journal("quarantine").sync()
        self.store.note_words("quarantine", self.entries)
        lines, codes, words = zip(*sorted(self.quarantine), strict=True) if self.quarantine else ((), (), ())
        table = pa.table(
            {
                "line": pa.array(lines, pa.uint64()),
                "reason": pa.array(codes, pa.string()),
                "words": pa.array(words, pa.string()),
            }
        )
        facts = {
            "source": self.plan.source.name,
            "lines": self.lines,
            "rows": len(self.rows),
            "new": self.new,
            "quarantined": dict(Counter(codes)),
        }
        return RunReport(
            run=run,
            started_at=started,
            duration_s=(self.store.clock() - started).total_seconds(),
            cpu_s=cpu_s,
            facts=facts,
            set=self.store.put_set(self.rows),
            removed=self.store.put_table(table),
        )


RIGHTS_REASONS = {
    "no_licence": "neither the row nor its source claims a licence; declare one, it is never assumed",
    "no_consent_basis": "the row is about a person and its source names no consent_basis",
    "withdrawn": "the right to train on it was withdrawn",
}
