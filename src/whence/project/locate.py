"""Which line of a TOML file says what: tomllib gives values only, and a fault should name its line."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\]]+?)\s*\]{1,2}\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=""")


def lines_of(text: str) -> dict[Path, int]:
    """Path of a key or table, such as ("sources", 0, "path") → its 1-based line."""
    found: dict[Path, int] = {}
    counts: dict[str, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            name = header.group(2)
            parts: Path = tuple(part.strip().strip("\"'") for part in name.split("."))
            if header.group(1) == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (*parts, counts[name])
            elif len(parts) > 1 and parts[0] in counts:
                table = (parts[0], counts[str(parts[0])], *parts[1:])
            else:
                table = parts
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
