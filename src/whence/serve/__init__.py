"""The gateway: aliases and releases behind OpenAI's chat-completion API, every answer naming the release it is from.

Nothing else is loaded until a name is used: a vLLM server imports the resolver in each of its processes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.serve.desk import Settings
    from whence.serve.leases import declare, end, state
    from whence.serve.run import Gateway

HOMES = {"Gateway": "run", "Settings": "desk", "declare": "leases", "end": "leases", "state": "leases"}

__all__ = ["Gateway", "Settings", "declare", "end", "state"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'whence.serve' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"whence.serve.{HOMES[name]}"), name)
    return value
