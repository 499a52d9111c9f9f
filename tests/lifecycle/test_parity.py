"""What is served is held against what was evaluated: other answers, another template and failures are found, the same
answers are silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from pyroaring import BitMap64

from whence.evaluate import Contender, evaluate, put_suite, scored
from whence.lifecycle.parity import MERGED, PROCESS, SERVED, _Door, ask, served
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import OnText, Reply, Request
from whence.records import (
    Adapter,
    Base,
    Closure,
    Fingerprint,
    Item,
    Prompt,
    Ref,
    Run,
    Snapshot,
    merkle_root,
)
from whence.store import Store

PRINT = Fingerprint(weights="b3:00", shapes="sha256:00", tokenizer="sha256:00", template="sha256:00")
LABELS = ("card lost", "fee query")
Right = Callable[[int], bool]


class Longer(ScriptedModel):
    """Sees five tokens more of each prompt: another template."""

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        return [replace(one, prompt_tokens=one.prompt_tokens + 5) for one in super().generate(requests, on_text)]


class Failing(ScriptedModel):
    """Every so many answers of a batch one fails, and counts no tokens."""

    def __init__(self, answer: Callable[[Request], str], every: int) -> None:
        super().__init__(answer)
        self._every = every

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        replies = super().generate(requests, on_text)
        failed = {"finish": "error", "reason": "answered 500", "prompt_tokens": 0}
        return [replace(r, **failed) if i % self._every == 0 else r for i, r in enumerate(replies)]


def answering(right: Right) -> Callable[[Request], str]:
    def answer(request: Request) -> str:
        i = int(str(request.messages[-1]["content"]).split()[-1])
        return LABELS[i % 2] if right(i) else LABELS[(i + 1) % 2]

    return answer


class Desk:
    """A store with an adapter and a gate."""

    def __init__(self, store: Store, n: int) -> None:
        self.store = store
        self.base = store.put(Base(name="tiny", location="bases/tiny", fingerprint=PRINT))
        run = store.put(Run(activity="train", used=(self.base,)))
        nothing = store.put_set(BitMap64())
        rows = store.put(Snapshot(name="desk", rows=0, root=merkle_root([]), set=nothing, steps=()))
        closure = Closure(
            base=self.base, snapshot=rows, recipe=None, code_commit=None, code_clean=None, environment="sha256:00"
        )
        self.adapter = store.put(
            Adapter(
                name="desk",
                closure=store.put(closure),
                run=run,
                weights="b3:01",
                config="sha256:01",
                base=PRINT,
                location="adapters/desk",
                bytes=1,
            )
        )
        self.prompt = store.put(Prompt(template="bare", text=""))
        items = [Item(id=f"q{i}", input=f"question {i}", expected=LABELS[i % 2]) for i in range(n)]
        self.suite = put_suite(store, "gate", "gate", "label", items, LABELS)

    def asked(self, via: str | None, model: ScriptedModel | _Door) -> Ref:
        contender = Contender(model=model, base=self.base, adapter=self.adapter, adapter_name="desk", via=via)
        return evaluate(self.store, contender, self.suite, self.prompt, max_tokens=8)

    def found(self) -> list[tuple[str, str, str]]:
        return [(one.verdict, one.severity, one.message) for one in served(self.store, self.adapter)]


def mostly(i: int) -> bool:
    return i % 5 != 0


def test_the_same_answers_merged_and_through_the_gateways_own_door_pass(store: Store) -> None:
    desk, model = Desk(store, 200), ScriptedModel(answering(mostly))
    desk.asked(PROCESS, model)
    desk.asked(MERGED, model)
    desk.asked(SERVED, _Door(model, "desk"))
    merged, door = desk.found()
    assert merged[:2] == door[:2] == ("pass", "low")
    assert "200 of 200 answers the same, 100.0% of tokens" in merged[2]
    assert "clients that name no temperature get 1, evaluated at 0" in door[2]
    assert "template" not in merged[2] + door[2]


def test_a_served_model_that_is_worse_fails_and_the_score_of_the_candidate_stays_one(store: Store) -> None:
    desk, at = Desk(store, 200), "http://gpu1:8000/v1 desk"
    desk.asked(None, ScriptedModel(answering(mostly)))
    desk.asked(PROCESS, ScriptedModel(answering(mostly)))
    desk.asked(at, Longer(answering(lambda i: i % 3 == 0)))
    ((verdict, severity, message),) = desk.found()
    assert (verdict, severity) == ("fail", "low")
    assert "its template differs: 1,400 prompt tokens, 400 as evaluated" in message
    assert len(list(scored(store, desk.suite))) == 1
    merged = Desk.asked(desk, MERGED, ScriptedModel(answering(lambda i: i % 3 == 0)))
    assert [one[:2] for one in desk.found()] == [("fail", "low"), ("fail", "low")]
    assert merged


@pytest.mark.parametrize(("n", "said"), [(40, "abstain"), (200, "pass")])
def test_few_items_are_too_little_evidence(store: Store, n: int, said: str) -> None:
    desk, model = Desk(store, n), ScriptedModel(answering(mostly))
    desk.asked(PROCESS, model)
    desk.asked(SERVED, model)
    assert [one[0] for one in desk.found()] == [said]


@pytest.mark.parametrize(
    ("way", "every", "missing", "said"),
    [
        ("http://gpu1:8000/v1 desk", 10, 22, ("abstain", "low")),
        (SERVED, 10, 22, ("abstain", "high")),
        (SERVED, 64, 4, ("pass", "low")),
    ],
)
def test_failures_of_the_endpoint_are_no_loss_and_many_of_them_no_pass(
    store: Store, way: str, every: int, missing: int, said: tuple[str, str]
) -> None:
    desk = Desk(store, 200)
    desk.asked(PROCESS, ScriptedModel(answering(mostly)))
    desk.asked(way, Failing(answering(mostly), every))
    ((*found, message),) = desk.found()
    assert tuple(found) == said
    assert f"{missing} more unscored" in message
    assert f"{200 - missing} of {200 - missing} answers the same" in message
    assert "its template is not known" in message
    assert "differs" not in message


def test_another_version_of_the_suite_is_asked_anew_each_way(store: Store) -> None:
    """Answers from memory would count no tokens, and the template would seem to differ."""
    desk, model = Desk(store, 100), ScriptedModel(answering(mostly))
    desk.asked(PROCESS, model)
    grown = [Item(id=f"q{i}", input=f"question {i}", expected=LABELS[i % 2]) for i in range(110)]
    desk.suite = put_suite(store, "gate", "gate", "label", grown, LABELS)
    desk.asked(PROCESS, model)
    desk.asked("http://gpu1:8000/v1 desk", model)
    ((verdict, _, message),) = desk.found()
    assert verdict == "pass"
    assert "template" not in message


def test_an_endpoint_is_asked_anew_and_its_last_answers_count(store: Store) -> None:
    desk, calls = Desk(store, 100), list[int]()

    def endpoint(right: Right) -> ScriptedModel:
        def counted(request: Request) -> str:
            calls.append(1)
            return answering(right)(request)

        return ScriptedModel(counted)

    direct = _Direct(desk, ScriptedModel(answering(mostly)))
    for right in (lambda i: i % 3 == 0, mostly):
        ask(store, direct, desk.prompt, desk.suite, 8, lambda _: lambda *_: None, {"http://gpu1 desk": endpoint(right)})
    assert len(calls) == 200
    assert [one[0] for one in desk.found()] == ["pass"]


class _Direct:
    """A candidate in this process, as `LazyModel` is one."""

    name, threads = "desk", 1

    def __init__(self, desk: Desk, model: ScriptedModel) -> None:
        self.base, self.adapter, self.generate = desk.base, desk.adapter, model.generate


def test_nothing_is_said_where_nobody_asked(store: Store) -> None:
    desk = Desk(store, 100)
    desk.asked(None, ScriptedModel(answering(mostly)))
    desk.asked(PROCESS, ScriptedModel(answering(mostly)))
    assert desk.found() == []
