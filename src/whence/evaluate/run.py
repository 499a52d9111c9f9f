"""Evaluations: every item of a suite put to one model under one prompt, scored, counted, recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from whence.evaluate.answers import Kept, Line, given_before, unfit
from whence.evaluate.judges import Judging
from whence.evaluate.prompts import grid, messages, shown
from whence.evaluate.scorers import scores
from whence.evaluate.suites import items_of
from whence.models.port import Model, Reply, Request
from whence.records import (
    BackendFailed,
    Conflict,
    Evaluation,
    Item,
    Prompt,
    Ref,
    Run,
    RunReport,
    Score,
    SliceResult,
    Suite,
    Unmet,
)
from whence.stats import wilson
from whence.store import Store

SCORING = "1"
"""Version of scorers and prompts; raised when a change to them could change a score."""
SHOWN = "the prompt holds its answer"
BATCH = 64
"""Items between two signs of progress; the model batches inside as it likes."""

Progress = Callable[[int, int], None]
"""``progress(done, total)`` in items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A model under test: what answers, and the records that say what it is."""

    model: Model
    """the port"""
    base: Ref
    """the Base record"""
    adapter: Ref | None = None
    """the Adapter record; None: the base alone"""
    adapter_name: str | None = None
    """the name under which the model loaded that adapter"""
    via: str | None = None
    """how it is asked, where not in this process as it was trained: ``merged``, ``served``"""
    attempt: int = 0
    """higher for asking the same again"""

    def __post_init__(self) -> None:
        if (self.adapter is None) != (self.adapter_name is None):
            raise ValueError("an adapter's record and the name it was loaded under go together")


def evaluate(
    store: Store,
    contender: Contender,
    suite: Ref,
    prompt: Ref,
    *,
    max_tokens: int,
    judging: Judging | None = None,
    on_progress: Progress = lambda *_: None,
) -> Ref:
    """Score every item and return the digest of the Evaluation; a finished one of the same inputs is found again.

    An item that was put to the same model in the same way before is not asked again, be it by an evaluation that was
    cut short; one that goes another way (`via`) is, since the ways are compared. Not asked, and unscored, are items
    that the prompt gives away as a shot or that `unfit` names. `results` holds scored items only: all of them first
    (none when nothing was scored), then each slice. judging: who scores the answers to a suite that a judge scores;
    others are not shown to it. Raises NotFound, Unmet where nobody judges, BackendFailed; what was answered until then
    is kept.
    """
    run = _run(store, contender, suite, prompt, max_tokens, judging)
    name = store.put(run)
    if made := _made(store, name):
        return made
    started, began, cpu = store.clock(), time.monotonic(), time.process_time()
    items = items_of(store, suite)
    with Kept(store, name) as kept:
        resumed = len(kept)
        asking = _Asking(store, contender, run, suite, prompt, items, max_tokens, judging)
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            kept.add(dict(asking.lines([item for item in batch if item.id not in kept])))
            on_progress(start + len(batch), len(items))
        count = Count(items)
        try:
            told = store.blobs.put_parts(count.counted(kept.lines(items)))
        except Conflict:
            if not (made := _made(store, name)):
                raise
            kept.drop()  # another process was done first, and took away the lines that both knew
            return made
        evaluation = Evaluation(
            run=name,
            suite=suite,
            base=contender.base,
            adapter=contender.adapter,
            prompt=prompt,
            scores=told,
            unscored=count.unscored,
            results=tuple(count.results()),
        )
        report = RunReport(
            run=name,
            started_at=started,
            duration_s=time.monotonic() - began,
            cpu_s=time.process_time() - cpu,
            facts={
                "items": len(items),
                "unscored": count.unscored,
                "asked": asking.asked,
                "known": asking.known + resumed,
                "prompt_tokens": count.spent[0],
                "completion_tokens": count.spent[1],
                "cut_off": count.cut_off,
            },
        )
        with store.transaction():
            made = _made(store, name)
            if made is None:
                made, _ = store.put_many([evaluation, report])
                facts = {"evaluation": made, "items": len(items), "unscored": count.unscored}
                store.append("run.finished", name, facts)
        kept.drop()
    return made


def _run(store: Store, contender: Contender, suite: Ref, prompt: Ref, max_tokens: int, judging: Judging | None) -> Run:
    """What is evaluated, and how. The judge is named where it scores."""
    inputs = {"max_tokens": str(max_tokens), "scoring": SCORING}
    if contender.via:
        inputs["via"] = contender.via
    if judging and store.get(suite, Suite).scorer == "judge":
        inputs["judge"] = store.put(judging.judge)
    used = (suite, contender.base, *([contender.adapter] if contender.adapter else []), prompt)
    return Run(activity="evaluate", used=used, inputs=inputs, attempt=contender.attempt)


def _made(store: Store, run: Ref) -> Ref | None:
    """The evaluation of a run that is finished."""
    finished = store.events("run.finished", about=run)
    return Ref(finished[0].data["evaluation"]) if finished else None


def _shots(store: Store, prompt: Prompt) -> list[Item]:
    """The items behind a prompt's shots, in its order."""
    known = {(ref, item.id): item for ref in {s.suite for s in prompt.shots} for item in items_of(store, ref)}
    return [known[shot.suite, shot.item] for shot in prompt.shots]


class _Asking:
    """Items → lines: what an answer was and how it scores, and what it took."""

    def __init__(
        self,
        store: Store,
        contender: Contender,
        run: Run,
        suite: Ref,
        prompt: Ref,
        items: Sequence[Item],
        max_tokens: int,
        judging: Judging | None,
    ) -> None:
        self._contender, self._max_tokens, self._judging = contender, max_tokens, judging
        self._suite, self._prompt = store.get(suite, Suite), store.get(prompt, Prompt)
        self._shots = _shots(store, self._prompt)
        self._unfit = unfit(items) | {item.id: SHOWN for item in items if shown(item, self._shots)}
        self._before = {} if contender.via else given_before(store, run, suite, prompt, items)
        self.asked = self.known = 0

    def lines(self, items: Sequence[Item]) -> Iterator[tuple[str, Line]]:
        """(item, its line) of each of these, the model asked together for those that it has to be asked for."""
        asked = [item for item in items if item.id not in self._unfit and item.id not in self._before]
        replies = dict(zip((item.id for item in asked), self._ask(asked), strict=True))
        for item in items:
            if item.id not in replies and item.id not in self._unfit:
                before = self._before[item.id]
                replies[item.id] = Reply(text=before, prompt_tokens=0, completion_tokens=0, finish="stop")
                self.known += 1
        answered = [(item, replies[item.id]) for item in items if item.id in replies]
        given = {one.item: one for one in scores(self._suite, answered, self._judging)}
        for item in items:
            if why := self._unfit.get(item.id):
                yield item.id, Line.of(Score(item=item.id, state="unscored", reason=why), None)
            else:
                reply = replies[item.id]
                spent = reply.prompt_tokens, reply.completion_tokens, reply.finish == "length"
                yield item.id, Line.of(given[item.id], reply.text, *spent)

    def _ask(self, items: Sequence[Item]) -> list[Reply]:
        requests = [
            Request(
                messages=messages(self._prompt, self._shots, item),
                adapter=self._contender.adapter_name,
                max_tokens=self._max_tokens,
            )
            for item in items
        ]
        replies = self._contender.model.generate(requests) if requests else []
        if len(replies) != len(requests):
            raise BackendFailed(f"the model gave {len(replies)} replies to {len(requests)} requests")
        self.asked += len(requests)
        return replies


class Count:
    """What lines come to, counted as they pass."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._right: Counter[str] = Counter()
        self._scored: Counter[str] = Counter()
        self.unscored = self.cut_off = 0
        self.spent = [0, 0]

    def counted(self, lines: Iterable[Line]) -> Iterator[bytes]:
        """The same lines, as they are recorded."""
        for item, line in zip(self._items, lines, strict=True):
            self.spent[0] += line.prompt_tokens
            self.spent[1] += line.completion_tokens
            self.cut_off += line.cut_off
            self.unscored += line.state == "unscored"
            if line.state != "unscored":
                for name in ("*", *(f"{field}={value}" for field, value in item.slices.items())):
                    self._scored[name] += 1
                    self._right[name] += line.state == "right"
            yield f"{line.text}\n".encode()

    def results(self) -> Iterator[SliceResult]:
        """All scored items, then each slice that has some, in the order of their names."""
        for name, n in sorted(self._scored.items(), key=lambda pair: (pair[0] != "*", pair[0])):
            right, share = self._right[name], wilson(self._right[name], n)
            yield SliceResult(slice=name, n=n, right=right, value=share.statistic, low=share.low, high=share.high)


def _part(progress: Progress, number: int, parts: int) -> Progress:
    """Progress of one of several evaluations of equal size, as progress of all of them."""
    return lambda done, total: progress(number * total + done, parts * total)


def best_prompt(
    store: Store,
    contender: Contender,
    dev: Ref,
    *,
    max_tokens: int,
    judging: Judging | None = None,
    on_progress: Progress = lambda *_: None,
) -> Ref:
    """The prompt of the grid under which the contender gets most items of a dev suite right.

    All prompts are compared on the same items: those that none of them holds as a shot. A tie goes to fewer shots,
    then to bare. Every evaluation is recorded. Raises Unmet for a gate suite, BackendFailed where no prompt gave a
    single scored answer.
    """
    suite, items = store.get(dev, Suite), items_of(store, dev)
    if suite.role != "dev":
        raise Unmet(
            f"suite {suite.name} is a {suite.role} suite", "a dev suite", "choose prompts on dev, never on gate"
        )
    prompts = grid(suite, dev, items)
    shots = _shots(store, max(prompts, key=lambda p: len(p.shots)))
    compared = {item.id for item in items if not shown(item, shots)}
    best, most, scored = prompts[0], -1, 0
    for number, prompt in enumerate(prompts):
        made = evaluate(
            store,
            contender,
            dev,
            store.put(prompt),
            max_tokens=max_tokens,
            judging=judging,
            on_progress=_part(on_progress, number, len(prompts)),
        )
        lines = store.get_lines(store.get(made, Evaluation).scores)
        states = [line["state"] for line in lines if line["item"] in compared]
        right, scored = states.count("right"), scored + len(states) - states.count("unscored")
        if right > most:
            best, most = prompt, right
    if not scored:
        raise BackendFailed(f"no item of suite {suite.name} got a scored answer under any prompt of the grid")
    return store.put(best)
