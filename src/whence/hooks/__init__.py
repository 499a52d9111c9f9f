"""``from whence.hooks import WhenceCallback``: one line in any Hugging Face Trainer; see docs/hooks.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.hooks.callback import WhenceCallback

__all__ = ["WhenceCallback"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'whence.hooks' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module("whence.hooks.callback"), name)
    return value
