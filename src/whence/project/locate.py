"""Which line of a TOML file says what: tomllib gives values only, and a fault should name its line."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\]]+?)\s*\]{1,2}\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=""")


def lines_of(text: str) -> dict[Path, int]:
    """Path of a key or table, such as ("sources", 0, "path") → its 1-based line."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    closing: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if closing is not None:  # inside of a text of several lines
            closing = None if closing in line else closing
            continue
        closing = next((quotes for quotes in ('"""', "'''") if line.count(quotes) == 1), None)
        header = _HEADER.match(line)
        if header:
            table = ()
            parts = header.group(2).split(".")
            for i, part in enumerate(parts, 1):
                table = (*table, part.strip().strip("\"'"))
                if i == len(parts) and header.group(1) == "[[":
                    counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table]) if table in counts else table
            found.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            path = (*table, *(part.strip().strip("\"'") for part in key.group(1).split(".")))
            found.setdefault(path, number)
            for inner in re.findall(r"[{,]\s*([A-Za-z0-9_-]+)\s*=", line[key.end() :]):
                found.setdefault((*path, inner), number)
    return found


def line_of(found: dict[Path, int], path: Path) -> int | None:
    """The line of a path, or of the nearest table around it."""
    while path:
        if path in found:
            return found[path]
        path = path[:-1]
    return None
