"""Answers that were given already, so that nothing is asked twice: of the same evaluation, cut short, and of earlier
ones that put the same item to the same model in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from types import TracebackType
from typing import Any, NamedTuple

from whence.evaluate.scorers import ENDED
from whence.evaluate.suites import items_of
from whence.records import Conflict, Damaged, Evaluation, Item, Json, Ref, Run, Score, encode, plain, sha256
from whence.store import Store
from whence.store.journal import Entry, Journal

KIND = "answers"
"""of words, in the journal: those of evaluations that are not done"""


class Line(NamedTuple):
    """What became of one item."""

    text: str
    """its line of the scores, canonical JSON"""
    state: str
    """right, wrong or unscored"""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut_off: bool = False
    """whether the answer ended because it was as long as it may be"""

    @classmethod
    def of(cls, score: Score, output: str | None, *spent: int) -> Line:
        """Half of a surrogate pair in an answer becomes ``?``."""
        said = None if output is None else output.encode("utf-8", "replace").decode()
        return cls(encode(plain(score) | {"output": said}).decode(), score.state, *spent)


class Kept:
    """The lines of one evaluation until it is recorded, a batch an entry of the journal. Those that a killed process
    left are there again."""

    def __init__(self, store: Store, run: Ref) -> None:
        self._run = run
        self._journal = Journal(store.root / "journal" / KIND)
        self._at: dict[str, Entry] = {}
        for segment in self._journal.segments():
            with suppress(FileNotFoundError, Damaged):  # of an evaluation that ends, or an erasure, just now
                left = [(entry, head) for entry, head in self._journal.scan(segment) if head and head.get("run") == run]
                bodies = self._journal.read_many(entry for entry, _ in left)
                for (entry, head), (_, body) in zip(left, bodies, strict=True):
                    if head["sum"] == _sum(body):
                        self._at |= dict.fromkeys(body, entry)

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._journal.close()

    def __contains__(self, item: object) -> bool:
        return item in self._at

    def __len__(self) -> int:
        return len(self._at)

    def add(self, lines: Mapping[str, Line]) -> None:
        """Keep lines of items; a kill of this process does not lose them."""
        if lines:
            body = {item: list(line) for item, line in lines.items()}
            entry = self._journal.append(body, head={"run": self._run, "sum": _sum(body)})
            self._at |= dict.fromkeys(lines, entry)

    def lines(self, items: Iterable[Item]) -> Iterator[Line]:
        """The line of each item, in order; one batch at a time is in memory. Raises Conflict where an erasure, or
        damage, took one away meanwhile."""
        try:
            for entry, some in groupby(items, key=lambda item: self._at[item.id]):
                body = self._journal.read(entry)
                yield from (Line(*body[item.id]) for item in some)
        except Damaged as error:
            what = f"an answer of this evaluation was taken away while it ran: {error}"
            raise Conflict(f"{what}\n  do: evaluate again; what is left is not asked again") from error

    def drop(self) -> None:
        """Remove the lines: they are recorded."""
        self._journal.drop({entry.segment for entry in self._at.values()})


def _sum(body: Mapping[str, Sequence[Any]]) -> str:
    """Of the texts of a batch."""
    return sha256("\n".join(line[0] for _, line in sorted(body.items())).encode())


def given_before(store: Store, run: Run, suite: Ref, prompt: Ref, items: Sequence[Item]) -> dict[str, str]:
    """Item → what the same model said to the same question under the same prompt with the same sampling, in other
    evaluations; answers that it failed to give are left out."""
    found = dict[str, str]()
    alike = [
        one
        for _, one in store.all(Evaluation)
        if one.prompt == prompt and _how(store.get(one.run, Run), one.suite) == _how(run, suite)
    ]
    asked = {_question(item): item.id for item in items} if alike else {}
    for other in alike:
        there = {item.id: name for item in items_of(store, other.suite) if (name := asked.get(_question(item)))}
        for line in store.get_lines(other.scores) if there else ():
            if line["item"] in there and line.get("output") is not None and not _failed(line):
                found[there[line["item"]]] = line["output"]
    return found


def _question(item: Item) -> str | bytes:
    return item.input if isinstance(item.input, str) else encode(item.input)


def _how(run: Run, suite: Ref) -> tuple[set[Ref], dict[str, str], int]:
    """(what was asked, how, for the how-manieth time); how its answers were scored is another matter."""
    asked = {name: value for name, value in run.inputs.items() if name not in ("scoring", "judge")}
    return set(run.used) - {suite}, asked, run.attempt


def _failed(line: Json) -> bool:
    return str(line.get("reason", "")).startswith(ENDED)


def unfit(items: Sequence[Item]) -> dict[str, str]:
    """Item → why it cannot count: it asks what an earlier one asks, or what one asks that expects something else."""
    same: dict[str | bytes, list[Item]] = {}
    for item in items:
        same.setdefault(_question(item), []).append(item)
    out = dict[str, str]()
    for first, *others in same.values():
        unlike = next((one for one in others if one.expected != first.expected), None)
        for item in (first, *others) if unlike else others:
            if unlike:
                other = unlike if item.expected == first.expected else first
                out[item.id] = f"item {other.id} asks the same and expects otherwise"
            else:
                out[item.id] = f"item {first.id} asks the same"
    return out
