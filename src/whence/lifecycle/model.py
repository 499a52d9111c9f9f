"""Record → a model that answers: verified against its record, loaded when the first request comes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from whence.models import Model, OnText, Reply, Request, bond_of, check_binding, hold, load_base
from whence.records import Adapter, Base, Ref, Unmet
from whence.store import Store


class LazyModel:
    """One base with one adapter, behind the model port. Nothing is loaded while every answer is known already."""

    name = "candidate"

    def __init__(self, store: Store, base: Ref, adapter: Ref, threads: int) -> None:
        self._store, self._base, self._adapter = store, base, adapter
        self._threads = threads
        self._model: Model | None = None
        self._files = ExitStack()

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """See the port."""
        if self._model is None:
            self._model = self._load()
        return self._model.generate(requests, on_text)

    def _load(self) -> Model:
        from whence.models.backends.transformers_peft import TransformersModel

        base = self._store.get(self._base, Base)
        adapter = self._store.get(self._adapter, Adapter)
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
            model = TransformersModel(held_base.path, {self.name: held.path}, self._threads)
            held.check()
            held_base.check()
            self._files = files.pop_all()  # weights are read from the files when they are first used
        return model
