"""Scores of any other tool as JSON lines: ``{"item" or "input", "expected"?, "output"?, "right": true|false|null}``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whence.evaluate.samples import Faults, Header, Sample, kept, lines, turns, whole


def read(path: Path) -> tuple[Header, list[Sample]]:
    """Every line a sample. Raises Unmet that lists every fault."""
    faults, samples, first = Faults(path), list[Sample](), dict[str, str]()
    for number, line in lines(path, faults):
        try:
            samples.append(_sample(line, number, first))
        except (ValueError, TypeError, RecursionError) as error:
            faults.add(number, error)
    faults.refuse()
    return Header(tool="jsonl"), samples


def _sample(line: dict[str, Any], number: int, first: dict[str, str]) -> Sample:
    """first: input → the id of its first line, since one question without a name is one item. Raises ValueError,
    TypeError, RecursionError with the reason."""
    named, asked = line.get("item"), line.get("input")
    if "right" not in line or (named is None and asked is None):
        raise TypeError("has no `right`, or neither `item` nor `input`")
    if named is not None and type(named) not in (str, int):
        raise TypeError(f"item is {type(named).__name__}, expected text or an integer")
    question = None if asked is None else turns(asked)
    name = first.setdefault(str(question), f"#{number}") if named is None else str(named)
    fields = {key: value for key, value in line.items() if key not in ("item", "input", "expected", "output", "right")}
    return kept(
        Sample(
            id=name,
            input=question,
            target=line.get("expected"),
            answer=whole(line.get("output")),
            values={"right": line["right"]},
            fields=fields,
        )
    )
