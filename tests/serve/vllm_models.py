"""A server's side of resolving adapters: what vLLM 0.33.0 does with what resolvers say. It counts what it loads."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from whence.serve.backends.vllm_resolver import register

PACKAGE = Path(__file__).with_name("vllm_package")


class Models:
    """The adapters of one server, which was started with `base`."""

    def __init__(self, registry: Any, base: str) -> None:
        self.resolvers = [registry.get_resolver(name) for name in registry.get_supported_resolvers()]
        self.base = base
        self.loaded: dict[str, Any] = {}
        self.numbers: list[int] = []

    def ask(self, name: str) -> bool:
        """Whether a request for this model is answered."""
        return asyncio.run(self._ask(name))

    async def _ask(self, name: str) -> bool:
        if name in self.loaded:
            return True
        for resolver in self.resolvers:
            found = await resolver.resolve_lora(self.base, name)
            if found is not None:
                self.numbers.append(found.lora_int_id)
                found.lora_int_id = len(self.numbers)
                self.loaded[name] = found
                return True
        return False


@contextmanager
def server(base: str | Path, store: Path | None, url: str = "http://gpu1:8000") -> Iterator[Models]:
    """A vLLM process as far as resolvers see it, with its plugins loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PACKAGE))
        patch.delenv("WHENCE_STORE", raising=False)
        if store:
            patch.setenv("WHENCE_STORE", str(store))
        patch.setenv("WHENCE_VLLM_URL", url)
        try:
            register()
            from vllm.lora.resolver import LoRAResolverRegistry

            yield Models(LoRAResolverRegistry, str(base))
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
                del sys.modules[name]
