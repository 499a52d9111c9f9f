"""Evaluations: every item of a suite put to one model under one prompt, scored, counted, recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from whence.evaluate.prompts import grid, messages, shown
from whence.evaluate.scorers import score
from whence.evaluate.suites import items_of
from whence.models.port import Model, Reply, Request
from whence.records import (
    BackendFailed,
    Evaluation,
    Item,
    Json,
    Prompt,
    Ref,
    Run,
    RunReport,
    Score,
    SliceResult,
    Suite,
    Unmet,
    plain,
)
from whence.stats import wilson
from whence.store import Store

SCORING = "1"
"""Version of scorers and prompts; raised when a change to them could change a score."""
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
    on_progress: Progress = lambda *_: None,
) -> Ref:
    """Score every item and return the digest of the Evaluation; a finished one of the same inputs is found again.

    Items that the prompt gives away as a shot are not asked and stay unscored. `results` holds scored items only: all
    of them first (none when nothing was scored), then each slice. Raises NotFound, BackendFailed.
    """
    used = (suite, contender.base, *([contender.adapter] if contender.adapter else []), prompt)
    run = Run(activity="evaluate", used=used, inputs={"max_tokens": str(max_tokens), "scoring": SCORING})
    name = store.put(run)
    for event in store.events("run.finished", about=name):
        return Ref(event.data["evaluation"])
    started, began, cpu = store.clock(), time.monotonic(), time.process_time()
    items = items_of(store, suite)
    scores, replies = [], []
    judged, said = store.get(suite, Suite), store.get(prompt, Prompt)
    for item, reply in _answers(contender, items, (said, _shots(store, said)), max_tokens, on_progress):
        given = Score(item=item.id, state="unscored", reason="the prompt holds its answer")
        scores.append(given if reply is None else score(judged, item, reply))
        replies.append(reply)
    evaluation = Evaluation(
        run=name,
        suite=suite,
        base=contender.base,
        adapter=contender.adapter,
        prompt=prompt,
        scores=store.put_lines(_line(s, r) for s, r in zip(scores, replies, strict=True)),
        unscored=sum(s.state == "unscored" for s in scores),
        results=tuple(results_of(items, scores)),
    )
    report = RunReport(
        run=name,
        started_at=started,
        duration_s=time.monotonic() - began,
        cpu_s=time.process_time() - cpu,
        facts=_facts(evaluation, len(items), [r for r in replies if r is not None]),
    )
    with store.transaction():
        made, _ = store.put_many([evaluation, report])
        store.append("run.finished", name, {"evaluation": made, "items": len(items), "unscored": evaluation.unscored})
    return made


def _shots(store: Store, prompt: Prompt) -> list[Item]:
    """The items behind a prompt's shots, in its order."""
    known = {(ref, item.id): item for ref in {s.suite for s in prompt.shots} for item in items_of(store, ref)}
    return [known[shot.suite, shot.item] for shot in prompt.shots]


def _answers(
    contender: Contender,
    items: Sequence[Item],
    prompt: tuple[Prompt, Sequence[Item]],
    max_tokens: int,
    progress: Progress,
) -> Iterator[tuple[Item, Reply | None]]:
    """Each item with its reply, in order; None for one that the prompt's shots give away. Raises BackendFailed."""
    said, shots = prompt
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        asked = [item for item in batch if not shown(item, shots)]
        requests = [
            Request(messages=messages(said, shots, item), adapter=contender.adapter_name, max_tokens=max_tokens)
            for item in asked
        ]
        replies = contender.model.generate(requests) if requests else []
        if len(replies) != len(requests):
            raise BackendFailed(f"the model gave {len(replies)} replies to {len(requests)} requests")
        by_id = {item.id: reply for item, reply in zip(asked, replies, strict=True)}
        yield from ((item, by_id.get(item.id)) for item in batch)
        progress(start + len(batch), len(items))


def _line(score: Score, reply: Reply | None) -> Json:
    """One line of the scores blob; half of a surrogate pair in an answer becomes ``?``."""
    output = None if reply is None else reply.text.encode("utf-8", "replace").decode()
    return plain(score) | {"output": output}


def results_of(items: Sequence[Item], scores: Sequence[Score]) -> Iterator[SliceResult]:
    """All scored items, then each slice that has some, in the order of their names."""
    right: dict[str, list[bool]] = {}
    for item, given in zip(items, scores, strict=True):
        if given.state != "unscored":
            for name in ("*", *(f"{field}={value}" for field, value in item.slices.items())):
                right.setdefault(name, []).append(given.state == "right")
    for name, values in sorted(right.items(), key=lambda pair: (pair[0] != "*", pair[0])):
        share = wilson(sum(values), len(values))
        yield SliceResult(
            slice=name, n=share.n, right=sum(values), value=share.statistic, low=share.low, high=share.high
        )


def _facts(evaluation: Evaluation, items: int, replies: Sequence[Reply]) -> Json:
    return {
        "items": items,
        "unscored": evaluation.unscored,
        "prompt_tokens": sum(r.prompt_tokens for r in replies),
        "completion_tokens": sum(r.completion_tokens for r in replies),
        "cut_off": sum(r.finish == "length" for r in replies),
    }


def _part(progress: Progress, number: int, parts: int) -> Progress:
    """Progress of one of several evaluations of equal size, as progress of all of them."""
    return lambda done, total: progress(number * total + done, parts * total)


def best_prompt(
    store: Store,
    contender: Contender,
    dev: Ref,
    *,
    max_tokens: int,
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
