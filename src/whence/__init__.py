"""whence: the record and the verdict for fine-tuned language models.

    import whence

    with whence.open("my-project") as w:
        print(w.ask.why("bank-support@1"))

Nothing else is loaded until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence.records import BackendFailed, Conflict, Damaged, NotFound, Unmet, WhenceError
    from whence.verbs import Session, init, open

__version__ = "0.1.0"

__all__ = [
    "BackendFailed",
    "Conflict",
    "Damaged",
    "NotFound",
    "Session",
    "Unmet",
    "WhenceError",
    "init",
    "open",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    home = "whence.verbs" if name in ("Session", "init", "open") else "whence.records"
    globals()[name] = value = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
