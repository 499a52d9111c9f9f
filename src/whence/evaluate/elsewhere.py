"""Evaluations that another tool ran, as evidence: a file → a `Log`, in which each item is right, wrong or unscored.

Forms are told apart by what the files hold, not by their names. Nothing is guessed: a score that is neither right nor
wrong is unscored and says why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from whence.evaluate import inspect_log, lm_eval_log, plain_log
from whence.evaluate.samples import MAX_BYTES, Header, Sample, reason, value_of, whole
from whence.records import Json, Unmet, encode

State = Literal["right", "wrong", "unscored"]
LETTERS: dict[str, tuple[State, str | None]] = {
    "C": ("right", None),
    "I": ("wrong", None),
    "N": ("wrong", None),
    "P": ("unscored", "the tool gives partial credit"),
}
"""Inspect's; N: the model gave no answer, which counts as wrong there as here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One item with what became of it."""

    id: str
    """the tool's"""
    input: Json
    """text, or a list of turns; None: the log names the item alone"""
    targets: tuple[Json, ...]
    """what it was compared with; several where the log contradicts itself"""
    slices: Mapping[str, str]
    """field → value"""
    answer: str | None
    """what the model said, where the log has it"""
    state: State
    reason: str | None
    """why it is unscored"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """An evaluation that another tool ran."""

    header: Header
    """what it says of the whole"""
    metric: str
    """whose values these are"""
    answers: int
    """to each item, at most"""
    sha256: str
    """of the file"""
    started: datetime | None
    """when the first answer was asked for; None: the log does not say"""
    items: tuple[Answered, ...]
    """in the order of the tool's ids"""


def read_log(path: Path, *, metric: str | None = None, slices: Sequence[str] = ()) -> Log:
    """The evaluation in a file: Inspect's ``.eval`` or JSON, samples of lm-eval, or plain JSON lines.

    metric: which of several; None: the only one. slices: members of what the tool knows of an item. Several answers to
    one item count as most of them do; without a majority it is unscored. Raises Unmet that lists every fault, or the
    metrics there are.
    """
    try:
        before = _sha256(path)
        header, samples = _read(path)
        if _sha256(path) != before:
            raise Unmet(f"{path} changed while it was read", "a log that is written no more", "do it again")
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a log of an evaluation", "name one") from error
    if not samples:
        raise Unmet(f"{path} holds no answer", "a log with its samples", "log samples: --log_samples, --log-samples")
    chosen = _metric(path, samples, metric)
    try:
        encode([chosen, header.task, header.task_version, header.version, header.model, dict(header.sampling)])
    except (ValueError, TypeError, RecursionError) as error:
        why = f"what {path} says of the whole cannot be kept: {reason(error)}"
        raise Unmet(why, "names that are text and numbers that are finite", "look at its header") from error
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.id, []).append(sample)
    ordered = sorted(
        groups.items(), key=lambda pair: (not pair[0].isdigit(), len(pair[0]) * pair[0].isdigit(), pair[0])
    )
    mine = {name: [one for one in group if chosen in one.values] or group[:1] for name, group in ordered}
    return Log(
        header=header,
        metric=chosen,
        answers=max(map(len, mine.values())),
        sha256=before,
        started=min((at for at in (header.started, *(one.at for one in samples)) if at), default=None),
        items=tuple(_answered(name, groups[name], group, chosen, slices) for name, group in mine.items()),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> tuple[Header, list[Sample]]:
    """By the reader of its form, told by its first bytes."""
    with path.open("rb") as file:
        start = file.readline(MAX_BYTES)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return inspect_log.read_archive(path)
    line = _object(start.removeprefix(b"\xef\xbb\xbf"))
    if line is None and start.removeprefix(b"\xef\xbb\xbf").strip() == b"{":
        line = {"eval": None}  # a whole file of JSON, written for people
    if line and ("eval" in line or ("results" in line and "configs" in line)):
        return inspect_log.read_json(path)
    return (lm_eval_log if line and lm_eval_log.claims(line) else plain_log).read(path)


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        value = value_of(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _metric(path: Path, samples: Sequence[Sample], asked: str | None) -> str:
    """lm-eval's are called ``METRIC,FILTER``; the filter may be left out where there is one."""
    names = sorted({name for one in samples for name in one.values})
    fits = [one for one in names if asked in (None, one, one.partition(",")[0])]
    if not names:
        raise Unmet(f"{path} holds no score", "a log with scores", "score it: inspect score FILE")
    if len(fits) == 1:
        return fits[0]
    found = f"{path} has the metrics {', '.join(names)}" if asked is None else f"{path} has no one metric {asked!r}"
    raise Unmet(found, f"one of {', '.join(names)}", "name it: --metric")


def state_of(value: Any) -> tuple[State, str | None]:
    """(state, why it is unscored) of a value that a tool gave one answer."""
    if isinstance(value, str):
        return LETTERS.get(value, ("unscored", "the score is text"))
    if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
        return ("right" if value else "wrong"), None
    if isinstance(value, int | float):
        return "unscored", "the score is no number" if value != value else "the score is neither 0 nor 1"
    return "unscored", "the log has no score" if value is None else f"the score is a {type(value).__name__}"


def _answered(
    name: str, every: Sequence[Sample], mine: Sequence[Sample], metric: str, fields: Sequence[str]
) -> Answered:
    """One item of all its answers. Two of its lines that compare with different things leave nothing to believe."""
    targets, first = list[Json](), mine[0]
    for one in every:
        targets += [] if one.target in targets else [one.target]
    told = [(("unscored", one.fault) if one.fault else state_of(one.values.get(metric))) for one in mine]
    states = [state for state, _ in told]
    state, why = told[0]
    if len(told) > 1:
        state = next((s for s in ("right", "wrong") if 2 * states.count(s) > len(states)), "unscored")
        why = None if state != "unscored" else f"no majority of {len(states)} answers"
    if any(one.input != first.input for one in every):
        state, why = "unscored", "the log has two questions under its id"
    elif len(targets) > 1:
        state, why = "unscored", "the log compares it with two answers"
    return Answered(
        id=name,
        input=first.input,
        targets=tuple(targets),
        slices={field: said for field in fields if (said := _slice(first.fields.get(field))) is not None},
        answer=mine[states.index(state) if state in states else 0].answer,
        state=state,
        reason=why,
    )


def _slice(value: Json) -> str | None:
    if type(value) is bool:
        return "true" if value else "false"
    return whole(str(value)) if isinstance(value, str) or type(value) is int else None
