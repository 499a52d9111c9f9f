"""A small desk of questions with known answers, and models that are right exactly where a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whence.evaluate import Contender, evaluate, put_suite
from whence.models.backends.scripted import ScriptedModel
from whence.models.port import Request
from whence.records import Gate, Item, Ref
from whence.store import Store

LABELS = ("card lost", "fee query", "transfer late", "pin reset")
Right = Callable[[int], bool]


def item(i: int) -> Item:
    """Question i; every tenth one came through branch, the others through app."""
    channel = "branch" if i % 10 == 0 else "app"
    return Item(id=f"q{i}", input=f"question {i}", expected=LABELS[i % 4], slices={"channel": channel})


def answering(right: Right) -> Callable[[Request], str]:
    """Answers question i with its label where `right(i)`, else with another label."""

    def answer(request: Request) -> str:
        i = int(str(request.messages[-1]["content"]).split()[-1])
        return LABELS[i % 4] if right(i) else LABELS[(i + 1) % 4]

    return answer


@dataclass(frozen=True)
class Desk:
    """A store with a base, an adapter and the plain prompt."""

    store: Store
    base: Ref
    adapter: Ref
    prompt: Ref

    def suite(self, n: int, role: str = "gate") -> Ref:
        return put_suite(self.store, "desk", role, "label", [item(i) for i in range(n)], LABELS)

    def evaluated(self, suite: Ref, right: Right, tuned: bool, max_tokens: int = 8) -> Ref:
        """The evaluation of the base, or of the adapter, that is right where `right` says."""
        adapter = {"adapter": self.adapter, "adapter_name": "desk"} if tuned else {}
        contender = Contender(model=ScriptedModel(answering(right)), base=self.base, **adapter)
        return evaluate(self.store, contender, suite, self.prompt, max_tokens=max_tokens)

    def gate(self, suite: Ref, **rules: float | None) -> Gate:
        usual = {"min_value": None, "min_gain": 0.0, "max_slice_drop": 0.1, "alpha": 0.05, "min_items": 100}
        return Gate(suite=suite, **(usual | {"min_slice_items": 20, "max_unscored": 0.02} | rules))
