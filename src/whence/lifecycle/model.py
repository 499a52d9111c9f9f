"""Record → a model that answers: verified against its record, loaded when the first request comes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from whence.models import OnText, Open, Reply, Request, Scored, bond_of, check_binding, hold, load_base
from whence.records import Adapter, Base, Ref, Unmet
from whence.register import canaries
from whence.store import Store


class LazyModel:
    """One base with one adapter, beside it or merged into it, behind the model port. Nothing is loaded while every
    answer is known already."""

    name = "candidate"

    def __init__(self, store: Store, base: Ref, adapter: Ref, threads: int, merged: bool = False) -> None:
        self._store, self.base, self.adapter = store, base, adapter
        self.threads, self._merged = threads, merged
        self._model: Open | None = None
        self._files = ExitStack()

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """See the port."""
        return self._loaded().generate(requests, on_text)

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """See the port."""
        return self._loaded().logprobs(requests, top)

    def distributions(self, requests: Sequence[Request]) -> NDArray[np.float32]:
        """See the port."""
        return self._loaded().distributions(requests)

    def _loaded(self) -> Open:
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> Open:
        from whence.models.backends.transformers_peft import TransformersModel

        base = self._store.get(self.base, Base)
        adapter = self._store.get(self.adapter, Adapter)
        path = load_base(base.location, base.revision, self._store.root.parent)
        with ExitStack() as files:
            held = files.enter_context(hold(self._store.root / adapter.location))
            held_base = files.enter_context(hold(path))
            binding = check_binding(held, held_base, bond_of(self._store, adapter))
            if binding.answer != "exact":
                raise Unmet(
                    f"the adapter does not fit this base: {binding}",
                    "the base and adapter as they were trained",
                    "restore them, or train again",
                )
            model = TransformersModel(held_base.path, {self.name: held.path}, self.threads, merged=self._merged)
            held.check()
            held_base.check()
            self._files = files.pop_all()  # weights are read from the files when they are first used
        return model


def keep_canaries(store: Store, model: LazyModel, adapter: Ref) -> list[str]:
    """Keep what a new adapter answers to the canaries, once, while it is known to be on its own base; lines to show."""
    base, questions = store.get(adapter, Adapter).base, canaries.read_questions(None)
    subject = canaries.Subject(name=adapter, about=adapter, weights=base.weights if base else None)
    if canaries.kept(store, subject, questions):
        return []
    seen = canaries.look_inside(model, questions, model.name)
    canaries.keep(store, subject, seen)
    return [f"canaries kept: {seen.effect}"]
