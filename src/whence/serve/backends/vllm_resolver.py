"""A resolver for vLLM's adapters: a name is loaded where the record has a release of it that belongs on that base.

vLLM calls `register` in each of its processes (the entry point ``whence`` of ``vllm.general_plugins``), and asks what
was registered for names that it does not know. As read in its sources; docs/vllm.md.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whence.records import Ref
    from whence.store import Store

NAME = "whence"
"""Under which vLLM knows it."""
IDS = 2**31 - 1
"""vLLM numbers adapters from 1; newer versions put a number of their own."""

log = logging.getLogger("vllm.whence")


class Shelf:
    """A store, as a server looks adapters up in it. Any thread may ask; they are checked one after the other."""

    def __init__(self, root: Path, keys: Path | None, url: str) -> None:
        """url: the address of this server, under which the record will know what it serves."""
        self._root, self._keys, self._url = root, keys, url
        self._store: Store | None = None
        self._lock = Lock()

    def find(self, base: str, name: str) -> tuple[Ref, Path] | None:
        """(release, the store's copy of its adapter), or None: refused, with a line in the log that says why.

        base: what vLLM was started with. The deployment is recorded before vLLM loads anything.
        """
        from whence.lineage import resolve
        from whence.records import Unmet, WhenceError
        from whence.serve import leases
        from whence.serve.backends.vllm_http import plain
        from whence.serve.elsewhere import fits

        called = "a model"  # names that clients send are not logged
        try:
            with self._lock, ExitStack() as held:
                url = plain(self._url, "WHENCE_VLLM_URL")
                store = self._store = self._store or self._open()
                try:
                    ref, release = resolve(store, name)
                except WhenceError:
                    log.warning("whence refused a model: the record has no release of the name that was asked for")
                    return None
                called = release.name
                if name != release.name:
                    raise Unmet(
                        "it was asked for by an alias or digest; an alias moves, and vLLM would never ask again",
                        "the release's own name",
                    )
                folder = fits(store, ref, release, base, held, here=True).folder
                leases.declare(store, ref, url, store.clock())
        except WhenceError as error:
            log.warning("whence refused %s: %s", called, " ".join(str(error).split()))
            return None
        return ref, folder

    def _open(self) -> Store:
        from whence.store import Store, identify

        return Store.open(self._root, self._keys, actor=identify(dict(os.environ)))


def register() -> None:
    """Register the resolver with vLLM, once a process. Does nothing where WHENCE_STORE is not set."""
    root, keys = os.environ.get("WHENCE_STORE"), os.environ.get("WHENCE_KEYS")
    if not root:
        return
    import asyncio

    from vllm.lora.request import LoRARequest
    from vllm.lora.resolver import LoRAResolver, LoRAResolverRegistry

    if NAME in LoRAResolverRegistry.get_supported_resolvers():
        return
    shelf = Shelf(Path(root), Path(keys) if keys else None, os.environ.get("WHENCE_VLLM_URL", ""))

    class Resolver(LoRAResolver):
        async def resolve_lora(self, base_model_name: str, lora_name: str) -> LoRARequest | None:
            found = await asyncio.to_thread(shelf.find, base_model_name, lora_name)
            if found is None:
                return None
            release, folder = found
            number = 1 + int(release.rpartition(":")[2][:15], 16) % (IDS - 1)
            return LoRARequest(lora_name=lora_name, lora_int_id=number, lora_path=str(folder))

    LoRAResolverRegistry.register_resolver(NAME, Resolver())
