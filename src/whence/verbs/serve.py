"""``serve``: the gateway, and releases in a vLLM server that somebody else runs."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from whence.models import load_base
from whence.records import Ref

if TYPE_CHECKING:
    from whence.serve import Gateway
    from whence.serve.backends.vllm_http import Vllm
    from whence.serve.elsewhere import Loaded
    from whence.serve.run import ModelFactory
    from whence.verbs.session import Session


class Serve:
    """Serving. Calling it is `whence serve`; each verb is that of `whence serve`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def __call__(
        self,
        *release: str,
        host: str | None = None,
        port: int | None = None,
        model_factory: ModelFactory | None = None,
    ) -> Gateway:
        """A gateway for releases or aliases (none named: every alias), with what whence.toml says of serving.

        `with w.serve(port=0) as url:` serves in threads of its own until the block ends. host: other than loopback
        needs `WHENCE_TOKEN`. port: 0 takes a free one. model_factory: (base folder, release → adapter folder) → the
        model that answers; None: transformers with PEFT. Entering raises Unmet with every reason not to serve.
        """
        from whence import feedback
        from whence.models.backends.transformers_peft import TransformersModel
        from whence.serve import Gateway, Settings

        project = self._session.project
        part = project.file.serving
        settings = Settings(
            host=host or part.host,
            port=part.port if port is None else port,
            consent=part.consent,
            lease_s=part.lease_s,
            max_tokens=part.max_tokens,
            unbound=part.unbound,
        )
        model = model_factory or partial(TransformersModel, threads=project.file.recipe.threads)
        return Gateway(self._store, release, settings, model_factory=model, feedback=feedback.send)

    def load(self, release: str, at: str, *, base: str | Path | None = None) -> Loaded:
        """Load a release into a vLLM server, if adapter and base are those on record, and look at it afterwards.

        release: its name, or an alias of it; the server gets the name. at: the server's address; its key is
        `WHENCE_VLLM_TOKEN`. base: the folder here, or hub id, that holds what the server's base path means there; None:
        that path itself, or the base on record where both have one name. Raises Unmet with every reason, NotFound, and
        BackendFailed where the server does not say what it did. See docs/vllm.md.
        """
        from whence.serve.elsewhere import load

        self._store.person()
        return load(self._store, release, _server(at), load_base(str(base)) if base else None)

    def unload(self, release: str, at: str, *, gone: bool = False) -> list[Ref]:
        """Take a release out of a vLLM server; returns the deployments that ended there.

        gone: the server is not asked, because it will not come back. Raises NotFound, BackendFailed where the server
        does not say that it is out.
        """
        from whence.serve.elsewhere import unload

        self._store.person()
        return unload(self._store, release, at if gone else _server(at))


def _server(at: str) -> Vllm:
    from whence.serve.backends.vllm_http import Vllm

    return Vllm(at, os.environ.get("WHENCE_VLLM_TOKEN"))
