"""Is what is served what was evaluated? The same items through the adapter in this process, through the base with the
adapter merged into it, and through an endpoint; and how their answers differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import zip_longest

from whence.evaluate import Contender, Judging, evaluate, items_of, put_suite
from whence.lifecycle.model import LazyModel
from whence.models import Model, OnText, Reply, Request
from whence.models.backends.openai_http import OpenAIModel
from whence.records import Adapter, Evaluation, Finding, Ref, Run, RunReport, Suite, digest
from whence.stats import mcnemar
from whence.store import Store

SAMPLE = 300
"""Items that are asked each way, at most; those with the lowest digests."""
MARGIN, ALPHA = 0.05, 0.05
"""MARGIN: what is served passes where its score lies within so much of what was evaluated, either way."""
PROCESS, MERGED, SERVED = "process", "merged", "served"
TOKEN = re.compile(r"\w+|[^\w\s]")
"""Words and signs: what both sides tell, whatever their tokenizers are."""
Told = Callable[[str], Callable[[int, int], None]]
"""What is asked → who is told how far it is."""


class _Door:
    """A model behind the gateway's own door."""

    def __init__(self, model: Model, name: str) -> None:
        self._model, self._name = model, name

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        from whence.serve.trial import trial

        with trial(self._model, self._name) as url:
            return OpenAIModel(url, self._name, known_as=[self._name]).generate(requests, on_text)


def ask(
    store: Store,
    model: LazyModel,
    prompt: Ref,
    gate: Ref,
    tokens: int,
    told: Told,
    at: Mapping[str, Model] | None = None,
    judging: Judging | None = None,
) -> list[Ref]:
    """Put a sample of the gate's items to an adapter each way; the evaluations. at: what an endpoint is called → the
    model behind it, in place of merged weights and of our own door; it is asked anew each time. judging: who scores a
    suite that a judge scores. Raises BackendFailed."""
    suite, base, adapter = _sample(store, gate), model.base, model.adapter
    ways: dict[str, Model] = {PROCESS: model}
    before = [way for way, made in _by_way(store, adapter) if made[1].suite == suite]
    if at:
        ways |= at
    else:
        ways[MERGED] = LazyModel(store, base, adapter, model.threads, merged=True)
        if find_spec("starlette") and find_spec("uvicorn"):
            ways[SERVED] = _Door(model, model.name)
    return [
        evaluate(
            store,
            Contender(
                model=one,
                base=base,
                adapter=adapter,
                adapter_name=model.name,
                via=way,
                attempt=before.count(way) if at and way in at else 0,
            ),
            suite,
            prompt,
            max_tokens=tokens,
            judging=judging,
            on_progress=told(way),
        )
        for way, one in ways.items()
    ]


def _sample(store: Store, gate: Ref) -> Ref:
    whole, items = store.get(gate, Suite), items_of(store, gate)
    if len(items) <= SAMPLE:
        return gate
    some = sorted(items, key=digest)[:SAMPLE]
    return put_suite(store, f"{whole.name}/served", "gate", whole.scorer, some, whole.labels)


def served(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``eval.served``: an adapter answers as it was evaluated, merged into its base, behind the gateway's door,
    and at each endpoint as it was asked last. It fails where it is shown to be worse, and abstains where too many
    answers failed; at the gateway's door that decides, elsewhere it informs. Silent where nothing was asked but the
    adapter itself."""
    if not isinstance(store.get(thing), Adapter):
        return
    newest = dict(_by_way(store, thing))
    direct = newest.pop(PROCESS, None)
    for way, (ref, other) in newest.items():
        if direct and direct[1].suite == other.suite:
            yield _compared(store, thing, way, direct, (ref, other))


def _by_way(store: Store, adapter: Ref) -> Iterator[tuple[str, tuple[Ref, Evaluation]]]:
    """(way, evaluation) of an adapter that was asked otherwise than as a candidate, oldest first."""
    for ref, made in store.all(Evaluation):
        if made.adapter == adapter and (via := store.get(made.run, Run).inputs.get("via")):
            yield via, (ref, made)


def _compared(
    store: Store, adapter: Ref, way: str, direct: tuple[Ref, Evaluation], other: tuple[Ref, Evaluation]
) -> Finding:
    pairs = [
        (a, b)
        for a, b in zip(*(store.get_lines(one.scores) for _, one in (direct, other)), strict=True)
        if "unscored" not in (a["state"], b["state"])
    ]
    n = store.get(direct[1].suite, Suite).n
    missing = max(0, other[1].unscored - direct[1].unscored) / max(n, 1)  # all of these might be wrong
    decides = "high" if way == SERVED else "low"
    refs = (direct[0], other[0])
    if not pairs:
        nothing = f"{way}: no item is scored both ways ({other[1].unscored} unscored)"
        severity = decides if missing > MARGIN else "low"
        return Finding(
            check=CHECK, about=adapter, verdict="abstain", severity=severity, message=nothing, n=0, evidence=refs
        )
    states = [(a["state"], b["state"]) for a, b in pairs]
    gained, lost = states.count(("wrong", "right")), states.count(("right", "wrong"))
    found = mcnemar(gained, lost, len(pairs), ALPHA)
    same, agree, total = 0, 0, 0
    for a, b in pairs:
        sides = [TOKEN.findall(line.get("output") or "") for line in (a, b)]
        same += sides[0] == sides[1]
        agree += sum(x == y for x, y in zip_longest(*sides))
        total += max(map(len, sides))
    worse = found.statistic < 0 and found.p is not None and found.p < ALPHA
    within = found.low - missing > -MARGIN and found.high < MARGIN
    who, tokens = f"{store.get(adapter, Adapter).name} {adapter[7:19]}", agree / total if total else 1
    told = [
        f"{way}: {who}, {same:,} of {len(pairs):,} answers the same, {tokens:.1%} of tokens",
        f"{found.statistic:+.1%} right [{found.low:+.1%}, {found.high:+.1%}], within ±{MARGIN:.0%} asked",
        *_differences(store, way, direct[1], other[1]),
    ]
    return Finding(
        check=CHECK,
        about=adapter,
        verdict="fail" if worse else "pass" if within else "abstain",
        severity=decides if worse or missing > MARGIN else "low",
        message="; ".join(told),
        statistic=found.statistic,
        threshold=-MARGIN,
        n=found.n,
        low=found.low,
        high=found.high,
        p=found.p,
        detectable=found.detectable,
        evidence=refs,
    )


CHECK = "eval.served"


def _differences(store: Store, way: str, direct: Evaluation, other: Evaluation) -> Iterable[str]:
    """What is known to differ besides the answers: prompts as the model sees them, sampling, failures."""
    if failed := max(0, other.unscored - direct.unscored):
        yield f"{failed} more unscored"
    reports = {one.run: one.facts for _, one in store.all(RunReport)}
    cut = [reports[one.run]["cut_off"] for one in (direct, other)]
    if cut[1] > cut[0]:
        yield f"{cut[1] - cut[0]} more answers cut off"
    here, there = (reports[one.run]["prompt_tokens"] for one in (direct, other))
    if failed or not there:
        yield "its template is not known: " + ("some prompts were not answered" if failed else "it counts no tokens")
    elif there != here:
        yield f"its template differs: {there:,} prompt tokens, {here:,} as evaluated"
    if way == SERVED:
        from whence.serve.trial import defaults

        named = defaults(way).temperature
        yield f"clients that name no temperature get {named:g}, evaluated at 0"
    elif way != MERGED:
        yield "what it does where a client names no temperature is not known"
