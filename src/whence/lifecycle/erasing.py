"""What holds the words of rows that are to be erased, besides the rows: traces, feedback, quarantine, suites, answers.

Two ways lead to them. By what the record says: a trace names its person, an item its group, a quarantined line the
person's identifier. And by what they say: any text that holds one of the rows' own texts, where that is long enough and
stands in no row that stays, or something that the person is known to be called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from whence import govern
from whence.records import Canaries, Evaluation, Feedback, Json, RunReport, Suite, Trace
from whence.store import IDENTIFIERS, RowSet, Store, row_set
from whence.store.journal import Entry
from whence.store.keys import PSEUDONYMS
from whence.text import Finder, normalise

TELLING = 24
"""Characters that a text needs, normalised, to mean the row that it stands in."""
LONGEST = 256
"""Characters that an identifier has at most."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Where the words of some rows are kept, besides the rows."""

    words: frozenset[str]
    """digests in the journal"""
    blobs: Mapping[str, str]
    """blob → the one that takes its place, without these words"""


def holding(store: Store, rows: RowSet, people: Iterable[str] = (), progress: Progress = lambda *_: None) -> Holding:
    """Look for the words of these rows, and for what people (pseudonyms) are called, in all that the store keeps.
    Raises Damaged where the keys are gone by which people are known."""
    about = _About(store, rows, frozenset(people), progress)
    return Holding(words=frozenset(_words(store, about, progress)), blobs=dict(_blobs(store, about, progress)))


class _About:
    """Whether something is about these rows or people."""

    def __init__(self, store: Store, rows: RowSet, people: frozenset[str], progress: Progress) -> None:
        store.keys.need((PSEUDONYMS, IDENTIFIERS))
        self.rows, self.people = rows, people
        self._texts = _telling(store, rows, progress)
        self._lengths: dict[str, set[int]] = {}  # how a text begins → how long those are that begin so
        for one in self._texts:
            self._lengths.setdefault(one[:TELLING], set()).add(len(one))
        marks = [one.mark for one in govern.kept(store) if one.subject in people and one.strength == "strong"]
        self._finder = Finder(store.keys.get(IDENTIFIERS), marks) if marks else None
        known = PSEUDONYMS in store.keys
        self._means = cache(lambda name: known and bool(people) and store.keys.pseudonym(name) in people)

    def means(self, name: str) -> bool:
        """Whether an identifier, as data has it, is one of the people's."""
        return 0 < len(name) <= LONGEST and self._means(name)

    def says(self, text: str) -> bool:
        """Whether a text holds a telling text of these rows, or names one of these people."""
        if self._finder and self._finder.find(text):
            return True
        if len(text) < TELLING or not self._texts:
            return False
        whole = normalise(text)
        return any(
            whole[at : at + length] in self._texts
            for at in range(len(whole) - TELLING + 1)
            for length in self._lengths.get(whole[at : at + TELLING], ())
        )

    def told(self, value: Json) -> bool:
        """Whether any string within is or says so."""
        return any(self.means(one) or self.says(one) for one in _strings(value))


def _telling(store: Store, rows: RowSet, progress: Progress) -> set[str]:
    """Texts of these rows that are long enough and stand in no row that stays: a greeting is everybody's."""
    found, total = {text for _, text in _texts(store, rows)}, store.committed()
    others = row_set(range(total)) - rows
    for ordinal, text in _texts(store, others) if found else ():
        progress("rows that stay", ordinal, total)
        found.discard(text)
    return found


def _texts(store: Store, rows: RowSet) -> Iterator[tuple[int, str]]:
    """(ordinal, text) of each text of these rows that is long enough, normalised."""
    for batch in store.scan(["content"], rows):
        for ordinal, content in zip(batch["ord"].to_pylist(), batch["content"].to_pylist(), strict=True):
            for text in _strings(json.loads(content)) if content else ():
                if len(text) >= TELLING and len(said := normalise(text)) >= TELLING:
                    yield ordinal, said


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value[:1] in "{[":  # a quarantined line is JSON inside a text
            try:
                yield from _strings(json.loads(value))
            except (ValueError, RecursionError):
                return
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _words(store: Store, about: _About, progress: Progress) -> Iterator[str]:
    store.recover_traces()  # a gateway's last second among them
    theirs = {trace.content for _, trace in store.all(Trace) if trace.subject in about.people}
    named = {trace.id for _, trace in store.all(Trace) if trace.content in theirs}
    theirs |= {one.content for _, one in store.all(Feedback) if one.trace in named}
    theirs.update(_shown(store, about))
    by_kind: dict[str, list[Entry]] = {}
    strays = {entry.digest: (kind, entry) for kind, entry in store.stray_words()}
    for kind, entry in (*store.all_words(), *strays.values()):
        by_kind.setdefault(kind, []).append(entry)
    by_kind.pop(IDENTIFIERS, None)
    done, total = 0, sum(map(len, by_kind.values()))
    for kind, entries in by_kind.items():
        for digest, body in store.journal(kind).read_many(entries):
            progress("words", done, total)
            done += 1
            if digest in theirs or about.told(body):
                if digest in strays:
                    store.note_words(kind, [strays[digest][1]])
                yield digest


def _shown(store: Store, about: _About) -> Iterator[str]:
    """Examples that trainings decoded, of one of the rows."""
    for _, report in store.all(RunReport):
        if report.example and (report.facts or {}).get("example_ordinal", -1) in about.rows:
            yield report.example


def _blobs(store: Store, about: _About, progress: Progress) -> Iterator[tuple[str, str]]:
    """Items of suites go whole; of answers, what was answered goes and the score stays."""
    yield from ((example, "") for example in _shown(store, about) if example in store.blobs)
    suites = list(store.all(Suite))
    gone: dict[str, set[str]] = {}
    for done, (ref, suite) in enumerate(suites):
        progress("suites", done, len(suites))
        lines = store.get_lines(suite.items)
        out = {line["id"] for line in lines if about.means(line.get("group") or "") or about.told(line)}
        if out:
            gone[ref] = out
            yield suite.items, store.put_lines(line for line in lines if line["id"] not in out)
    evaluations = list(store.all(Evaluation))
    for done, (_, one) in enumerate(evaluations):
        progress("answers", done, len(evaluations))
        items, lines = gone.get(one.suite, set()), store.get_lines(one.scores)
        fresh = [
            _silent(line) if line["item"] in items or about.says(line.get("output") or "") else line for line in lines
        ]
        if fresh != lines:
            yield one.scores, store.put_lines(fresh)
    for _, asked in store.all(Canaries):
        lines = store.get_lines(asked.answers) if asked.answers else []
        if any(about.told(line) for line in lines):
            yield asked.answers or "", store.put_lines(line for line in lines if not about.told(line))


def _silent(line: Json) -> Json:
    return {name: value for name, value in line.items() if name != "output"}
