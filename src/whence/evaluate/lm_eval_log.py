"""Logs of lm-evaluation-harness: ``samples_TASK_TIME.jsonl``, with the ``results_TIME.json`` that it writes beside."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whence.evaluate.samples import MAX_BYTES, Faults, Header, Sample, kept, lines, part, said, turns, value_of, whole
from whence.records import Json, encode, sha256

NAME = re.compile(r"samples_(.+)_(\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
KNOWN = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
     "target_hash"}
)  # fmt: skip
"""Members of a line that are no metric; older versions do not list the metrics."""


def claims(line: dict[str, Any]) -> bool:
    """Whether a line is a sample of lm-eval."""
    return "doc_id" in line and "arguments" in line


def read(path: Path) -> tuple[Header, list[Sample]]:
    """A file of samples. Raises Unmet that lists every fault."""
    faults, samples, drawn = Faults(path), list[Sample](), set[bytes]()
    for number, line in lines(path, faults):
        try:
            samples.append(_sample(line))
            drawn.add(encode(_argument(line, 1) or {}))
        except (ValueError, TypeError, RecursionError) as error:
            faults.add(number, error)
    header = _header(path, faults)
    faults.refuse()
    options = json.loads(drawn.pop()) if len(drawn) == 1 else {"differs": "from item to item"} if drawn else {}
    if isinstance(options, dict):
        header["sampling"] |= options
    return Header(**header), samples


def _sample(line: dict[str, Any]) -> Sample:
    """Raises ValueError, TypeError, RecursionError with the reason."""
    if not claims(line):
        raise TypeError("has no doc_id or no arguments")
    said_so, names = line.get("filtered_resps"), line.get("metrics")
    answer = said_so[0] if isinstance(said_so, list) and said_so else said_so
    named = names if isinstance(names, list) else [name for name in line if name not in KNOWN]
    doc = line.get("doc")
    return kept(
        Sample(
            id=str(line["doc_id"]),
            input=_asked(_argument(line, 0)),
            target=line.get("target"),
            answer=whole(answer),
            values={f"{name},{line.get('filter', 'none')}": line.get(name) for name in named},
            fields=doc if isinstance(doc, dict) else {},
        )
    )


def _argument(line: dict[str, Any], number: int) -> Any:
    """Of the item's first request: 0, what was asked; 1, how."""
    held = line["arguments"]
    if isinstance(held, dict):
        first = held.get("gen_args_0")
        return first.get(f"arg_{number}") if isinstance(first, dict) else None
    first = held[0] if isinstance(held, list) and held else None
    return first[number] if isinstance(first, list) and len(first) > number else None


def _asked(prompt: Any) -> Json:
    """The last turn of a chat, which is the item (what stands before it are worked examples and instructions), or the
    text. Raises TypeError."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        try:
            chat = turns(value_of(prompt[0].encode()))
        except ValueError:
            raise TypeError("the prompt is no chat") from None
        return chat if isinstance(chat, str) else chat[-1]["content"]
    return turns(prompt)


def _header(path: Path, faults: Faults) -> dict[str, Any]:
    """What the results beside the samples say; the name alone where they are not there."""
    named = NAME.fullmatch(path.name)
    task = named[1] if named else path.stem.removeprefix("samples_")
    found: dict[str, Any] = {"tool": "lm-eval", "task": task, "sampling": {}}
    beside = path.with_name(f"results_{named[2]}.json") if named else None
    if beside is None or not beside.is_file():
        return found | {
            "notes": ("no results_….json lies beside it: when it was scored and by which model is not known",)
        }
    try:
        with beside.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        told = value_of(raw) if len(raw) <= MAX_BYTES else None
        if not isinstance(told, dict):
            raise ValueError("is no object")
    except (ValueError, RecursionError) as error:
        faults.add(beside.name, error)
        return found
    config, mine = part(told, "config"), part(told, "configs", task)
    seeds = {name: config[name] for name in ("random_seed", "fewshot_seed") if config.get(name) is not None}
    at = told.get("date")
    return found | {
        "version": said(told.get("lm_eval_version")),
        "task_version": said(part(told, "versions").get(task)),
        "model": said(told.get("model_name") or part(config, "model_args").get("model")),
        "started": datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) and 0 < at < 1e11 else None,
        "shots": mine.get("num_fewshot") if isinstance(mine.get("num_fewshot"), int) else None,
        "sampling": seeds,
        "beside": sha256(raw),
    }
