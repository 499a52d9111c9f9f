"""Records → rows: content and ids, rights, parents, quarantine; written batch by batch."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from time import monotonic
from typing import Any

import numpy as np
import pyarrow as pa

from whence.data.plan import Admit, Pending, Plan
from whence.data.shape import FieldMap, content_of
from whence.data.values import KEEP_BYTES, MAX_BYTES, TOO_LONG, Fault
from whence.records import Json, Ref, RunReport, Unmet, encode_parsed, parse_time
from whence.store import Renewed, RowSet, Store, batch, erased, row_set

BATCH_ROWS = 65_536
BATCH_BYTES = 128 << 20
"""of content; whichever of the two is reached first, the rows so far are written"""
MAX_FACT = 4096
"""characters of an id, a subject, a group …"""
ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*:.+", re.DOTALL)
"""``SUITE:ITEM``"""
MAX_BAD = 2_000_000
"""lines in quarantine; a file that has more is not of the format that it is read as"""


class _Repeated(ValueError):
    """The file has used this record id before."""


class Work:
    """One ingest under way."""

    def __init__(self, store: Store, plan: Plan, admit: Admit, bad_before: Container[int] | None = None) -> None:
        """bad_before: lines of this very file that went into quarantine when it was read before; None: it was not."""
        self.store, self.plan, self.admit, self.bad_before = store, plan, admit, bad_before
        self.mapping = FieldMap.of(plan.map)
        self.erased = erased(store).rows
        self.renewed = Renewed(store, plan.source.name) if self.erased else None
        self.before = store.index()  # no row of this file can meet another: their ids differ
        self.pending: list[Pending] = []
        self.orphans: list[Pending] = []  # their parents may stand further down in the file
        self.seen: set[str] = set()  # record ids of this file that are in no row yet; the store knows the others
        self.occurrences: Counter[bytes] = Counter()
        self.hashers: dict[str | None, Any] = {}
        self.pseudonyms: dict[str, str] = {}
        self.quarantine: list[tuple[int, str, str]] = []
        self.entries: list[Any] = []
        self.rows: RowSet = row_set([])
        self.new = self.lines = self.held = 0
        self.began = monotonic()
        self.licence = plan.source.licence
        name = plan.source.name.encode()
        self.id_prefix = b"%d:%b" % (len(name), name)

    # -- one record --------------------------------------------------------------------------------------------------

    def take(self, number: int, record: dict[str, Json] | Fault) -> None:
        """Turn a record into a pending row, or put it into quarantine."""
        self.lines += 1
        if type(record) is Fault:
            self.refuse(number, record.code, record.reason, record.raw)
            return
        content, fault = content_of(record, self.mapping)
        if fault:
            self.refuse(number, "field" if fault.startswith("field") else "shape", fault, record)
            return
        try:
            text = encode_parsed(content)
            data = text.encode()
            if len(data) > MAX_BYTES:
                self.refuse(number, "too_long", f"the record is {TOO_LONG}", data[:KEEP_BYTES])
                return
            facts = {fact: self.fact(fact, record.get(field)) for fact, field in self.mapping.facts}
            self.add(number, (content["shape"], text, data), facts, self.slices_of(record))
        except UnicodeEncodeError:
            self.refuse(number, "encoding", "a lone surrogate is not text", record)
        except _Repeated:
            self.refuse(number, "repeated_id", REPEATED, record)
        except (ValueError, TypeError) as error:
            self.refuse(number, "value", str(error), record)
        if len(self.pending) >= BATCH_ROWS or self.held > BATCH_BYTES:
            self.flush()

    def fact(self, name: str, value: Json) -> Json:
        """A mapped fact as text (parents and items as a list of texts), or None. Raises ValueError, a lone surrogate
        included."""
        if type(value) is str and value and name not in ("parents", "inspired_by", "collected_at"):
            value.encode()
            if len(value) > MAX_FACT:
                raise ValueError(f"{dict(self.mapping.facts)[name]!r} is longer than {MAX_FACT:,} characters")
            return value
        if name in ("parents", "inspired_by"):
            names = [str(v) for v in value] if isinstance(value, list) else [str(value)] if value else []
            if len("".join(names).encode()) > KEEP_BYTES:
                raise ValueError(f"{dict(self.mapping.facts)[name]!r} names too many")
            if name == "inspired_by" and not all(map(ITEM.fullmatch, names)):
                raise ValueError(f"{dict(self.mapping.facts)[name]!r} names no item as SUITE:ITEM")
            return names or (None if name == "inspired_by" else [])
        if name == "collected_at" and value not in (None, ""):
            return self.moment(value)
        if value is None or value == "":
            if name == "id":
                raise ValueError(f"{dict(self.mapping.facts)['id']!r}, which the mapping reads ids from, is missing")
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise ValueError(f"{dict(self.mapping.facts)[name]!r} is {type(value).__name__}, expected text")

    def moment(self, value: Json) -> datetime:
        """When a row was collected. Raises ValueError."""
        try:
            return parse_time(value)
        except (ValueError, TypeError, OverflowError):
            field = dict(self.mapping.facts)["collected_at"]
            raise ValueError(f"{field!r} is no ISO 8601 time with its zone, such as 2026-11-01T09:00:00Z") from None

    def add(self, number: int, content: tuple[str, str, bytes], facts: dict[str, Json], slices: str | None) -> None:
        """Queue one row; its id is keyed over source, record id and content digest (see records.row_id)."""
        shape, text, data = content
        get = facts.get
        subject, record = get("subject"), get("id")
        if record is not None and record in self.seen:
            raise _Repeated
        if subject is not None:
            subject = self.pseudonyms.get(subject) or self.pseudonym(subject)
        hasher = self.hashers.get(subject) or self.hasher(subject)
        state = hasher.copy()
        state.update(data)
        digest = state.digest()
        self.held += len(data)
        if record is None:
            self.occurrences[digest] += 1
            record = f"#{self.occurrences[digest]}"
        else:
            self.seen.add(record)
        name = record.encode()
        state = hasher.copy()
        state.update(b"%b%d:%b%b" % (self.id_prefix, len(name), name, digest))
        self.pending.append(
            Pending(
                number,
                state.digest(),
                record,
                shape,
                text,
                digest,
                subject,
                get("group"),
                get("licence") or self.licence,
                slices,
                get("parents"),
                get("generator"),
                get("collected_at"),
                get("inspired_by"),
            )
        )

    def pseudonym(self, subject: str) -> str:
        """The pseudonym of a person seen for the first time."""
        made = self.pseudonyms[subject] = self.store.keys.pseudonym(subject)
        return made

    def hasher(self, subject: str | None) -> Any:
        """Keyed BLAKE2b of a subject's rows, or of the source's, to be copied for each row."""
        key = self.store.keys.get(f"subject:{subject}" if subject else f"source:{self.plan.source.name}")
        made = self.hashers[subject] = hashlib.blake2b(digest_size=32, key=key)
        return made

    def slices_of(self, record: Mapping[str, Json]) -> str | None:
        """The slice fields as canonical JSON of texts."""
        if not self.mapping.slices:
            return None
        values = {f: str(record[f]) for f in self.mapping.slices if record.get(f) is not None}
        text = encode_parsed(values) if values else None
        if len((text or "").encode()) > MAX_FACT:
            raise ValueError(f"the slices are longer than {MAX_FACT:,} bytes")
        return text

    def refuse(self, number: int, code: str, reason: str, raw: Any) -> None:
        """Into quarantine: line, code and a digest in the record; the words in the journal, of which `raw` None leaves
        the line out. Raises Unmet where there are too many."""
        if len(self.quarantine) == MAX_BAD:
            raise Unmet(
                f"{MAX_BAD:,} lines cannot be read, up to line {number:,}",
                f"records as {self.plan.format}",
                "look at the file's lines, at `format` and at `map`; nothing of it was put into quarantine",
            )
        kept = raw if isinstance(raw, bytes | None) else json.dumps(raw, default=str).encode()[:KEEP_BYTES]
        words = {"line": None if kept is None else kept.decode("utf-8", "backslashreplace"), "reason": reason}
        entry = self.store.journal("quarantine").append(words)
        self.entries.append(entry)
        self.quarantine.append((number, code, entry.digest))

    # -- one batch ---------------------------------------------------------------------------------------------------

    def flush(self, last: bool = False) -> None:
        """Ask for rights, pass over rows that are there, write the rest."""
        rows, self.pending, self.held = self.pending, [], 0
        if last:
            rows, self.orphans = rows + self.orphans, []
        rows = self.not_repeated(rows)
        if not rows:
            return
        subjects, licences, collected = zip(*((r.subject, r.licence, r.collected_at) for r in rows), strict=True)
        decisions = self.admit(self.plan.source, subjects, licences, collected)
        ids = np.frombuffer(b"".join([r.id for r in rows]), np.uint8).reshape(-1, 32)
        present: list[int] = self.before.find(ids).tolist()
        gone = self.gone(rows, present) if self.renewed else frozenset[int]()
        write, there = [], []
        for row, at, code in zip(rows, present, decisions, strict=True):
            if row.line in gone:
                self.seen.discard(row.record)
                self.refuse(row.line, "erased", RIGHTS_REASONS["erased"], None)
                continue
            if at >= 0:
                self.seen.discard(row.record)
            if at >= 0 and code in (None, *ENDED):  # a right that ended later is curation's matter, row by row
                there.append(at)
            elif code is None:
                write.append(row)
            else:
                kept = None if code in ENDED else row.content.encode()
                self.refuse(row.line, code, RIGHTS_REASONS.get(code, code), kept)
        self.rows |= row_set(there)
        for ready, parents in self.with_parents(write):
            self.write(ready, parents)
        for row in self.orphans if last else ():
            reason = "a row that it was made from is not in the store"
            self.refuse(row.line, "parent", reason, row.content.encode())

    def gone(self, rows: list[Pending], present: list[int]) -> frozenset[int]:
        """Lines whose rows were erased. In `present`, rows whose ids were made under a key that is gone get their
        ordinals. A row without an id of its own is known as erased where this very file was read before: its line
        was a row then."""
        assert self.renewed
        missing = [n for n, at in enumerate(present) if at < 0]
        found = self.renewed.find([rows[n].record for n in missing], [rows[n].digest for n in missing])
        for n in missing:
            present[n] = found.get((rows[n].record, rows[n].digest), -1)
        lost = [rows[n] for n in missing if present[n] < 0]
        if not any(fact == "id" for fact, _ in self.mapping.facts):
            return frozenset(r.line for r in lost if self.bad_before is not None and r.line not in self.bad_before)
        at_record = self.store.records_at(self.plan.source.name, [row.record for row in lost])
        erased_records = {record for record, at in at_record.items() if any(o in self.erased for o in at)}
        return frozenset(row.line for row in lost if row.record in erased_records)

    def not_repeated(self, rows: list[Pending]) -> list[Pending]:
        """Without those whose record id a row of an earlier batch has."""
        named = any(fact == "id" for fact, _ in self.mapping.facts)
        at = self.store.records_at(self.plan.source.name, [r.record for r in rows]) if named else {}
        repeated = {record for record, ordinals in at.items() if any(o in self.rows for o in ordinals)}
        for row in rows if repeated else ():
            if row.record in repeated:
                self.refuse(row.line, "repeated_id", REPEATED, row.content.encode())
        return [row for row in rows if row.record not in repeated] if repeated else rows

    def write(self, rows: list[Pending], parents: list[list[int]]) -> None:
        """Write rows with their parents' ordinals."""
        _, ids, records, shapes, contents, digests, subjects, groups, licences, slices, _, *later = zip(
            *rows, strict=True
        )
        facts = (subjects, groups, licences, slices, parents, *later)
        names = [self.plan.source.name] * len(rows)
        first = self.store.add_rows(
            batch((ids, names, records, shapes, contents, digests, *facts)), self.plan.source.name
        )
        self.rows |= row_set(range(first, first + len(rows)))
        self.seen.difference_update(records)
        self.new += len(rows)

    def with_parents(self, rows: list[Pending]) -> Iterator[tuple[list[Pending], list[list[int]]]]:
        """(rows, their parents' ordinals), in rounds: a row whose parent stands further down waits for it."""
        ready = [row for row in rows if not row.parents]
        if ready:
            yield ready, [[] for _ in ready]
        waiting = [row for row in rows if row.parents]
        while waiting:
            known = self.ordinals_of({name for row in waiting for name in row.parents or ()})
            ready = [row for row in waiting if all(name in known for name in row.parents or ())]
            if not ready:
                break
            yield ready, [[known[name] for name in row.parents or ()] for row in ready]
            waiting = [row for row in waiting if not all(name in known for name in row.parents or ())]
        self.orphans += waiting

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
        for start in range(0, len(self.entries), BATCH_ROWS):
            self.store.note_words("quarantine", self.entries[start : start + BATCH_ROWS])
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
            duration_s=monotonic() - self.began,
            cpu_s=cpu_s,
            facts=facts,
            set=self.store.put_set(self.rows),
            removed=self.store.put_table(table),
        )


REPEATED = "an earlier line of this file has the same id"

ENDED = ("withdrawn", "collected_after_withdrawal")
"""Reasons for which a line is not kept in quarantine either."""

RIGHTS_REASONS = {
    "no_licence": "neither the row nor its source claims a licence; declare one, it is never assumed",
    "no_consent_basis": "the row is about a person and its source names no consent_basis",
    "withdrawn": "the right to train on it was withdrawn",
    "collected_after_withdrawal": "it was collected after the right to had been withdrawn",
    "erased": "its content was erased for good",
}
