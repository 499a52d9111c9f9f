"""Files of JSON lines that people write: read whole or refused whole, every bad line named and none quoted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from whence.records import Unmet, WhenceError

T = TypeVar("T")
U = TypeVar("U")
SHOWN = 20
"""Faults that are written out; the rest are counted."""


def read_lines(
    path: Path,
    kind: type[T],
    take: Callable[[T, int], U],
    *,
    holds: str,
    form: str,
    then: str,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[int, U]:
    """Number of a line → what `take` makes of it and its number; blank lines are passed over, members that `kind` has
    not are as it says. take: raises ValueError or WhenceError, whose first line says why the line is bad, without a
    word of it. holds, form: what a line is, in a word and as JSON. then: what became of the file. Raises Unmet.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file of JSON lines", "name one") from error
    adapter, found, faults = TypeAdapter[T](kind), dict[int, U](), list[str]()
    for number, line in enumerate(lines, 1):
        progress(number, len(lines))
        if not line.strip():
            continue
        try:
            found[number] = take(adapter.validate_json(line), number)
        except ValidationError as error:
            faults.append(f"{path}:{number}: {_reason(error)}")
        except (ValueError, WhenceError) as error:
            faults.append(f"{path}:{number}: {str(error).splitlines()[0]}")
    if not found and not faults:
        faults.append(f"{path}: holds no {holds}")
    if faults:
        more = [f"… and {len(faults) - SHOWN:,} more"] if len(faults) > SHOWN else []
        raise Unmet("\n  ".join(faults[:SHOWN] + more), f"{form} a line", f"correct these lines; {then}")
    return found


def _reason(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where + ': ' if where else ''}{first['msg'][:200]}"
