"""Logs of Inspect: an archive ``.eval``, whose members are packed with zstd (0.3.285) or deflate, or one JSON value."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from whence.evaluate.samples import (
    MAX_BYTES,
    Faults,
    Header,
    Sample,
    kept,
    part,
    said,
    text_of,
    turns,
    value_of,
    whole,
)
from whence.records import Json, Unmet, parse_time

MAX_TOTAL = 4 << 30
"""Bytes that all members together may inflate to."""
MAX_JSON = 256 << 20
"""Of a log that is one JSON value."""
STORED, DEFLATED, ZSTD = 0, 8, 93
"""Methods of a member, as APPNOTE.TXT 4.4.5 numbers them; Python's own reader has the last from 3.14 on."""
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, OSError, RuntimeError, EOFError, ValueError, OverflowError)
"""What readers raise for a damaged archive; NotImplementedError is a RuntimeError."""
SAMPLE = re.compile(r"samples/[^/]+\.json")
HOW_IT_RAN = frozenset(
    {"max_connections", "max_retries", "timeout", "attempt_timeout", "cache", "cache_prompt", "batch"}
)
"""Of the options of a generation: those that change no answer."""
Log = tuple[Header, list[Sample]]


def read_archive(path: Path) -> Log:
    """An ``.eval``. Raises Unmet that lists every fault."""
    faults, samples, header, start = Faults(path), list[Sample](), None, None
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for name, raw in _members(archive, file, faults):
                try:
                    value = value_of(raw)
                    if name == "header.json":
                        header = value
                    elif name == "_journal/start.json":
                        start = value
                    else:
                        samples.append(_sample(value))
                except (ValueError, TypeError, RecursionError) as error:
                    faults.add(name, error)
    except BROKEN as error:
        said_so = f"{path} begins as an archive and is none: {error}"
        raise Unmet(
            said_so, "an .eval as Inspect wrote it, whole", "copy it again, or run the evaluation again"
        ) from error
    faults.refuse()
    return _log(path, header or start, samples)


def _members(archive: zipfile.ZipFile, file: Any, faults: Faults) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the members that matter. Raises Unmet where they inflate to too much."""
    total, seen = 0, set[str]()
    for info in archive.infolist():
        name = info.filename
        if not (SAMPLE.fullmatch(name) or name in ("header.json", "_journal/start.json")):
            continue
        if name in seen:
            faults.add(name, "is there twice")
            continue
        seen.add(name)
        if info.compress_type not in (STORED, DEFLATED, ZSTD):
            faults.add(name, "is packed in a way that Inspect does not use")
            continue
        try:
            raw = b"" if info.compress_size > MAX_BYTES else unpacked(archive, file, info)
        except BROKEN:
            faults.add(name, "is damaged or locked")
            continue
        if max(len(raw), info.compress_size) > MAX_BYTES:
            faults.add(name, f"is larger than {MAX_BYTES >> 20} MiB")
            continue
        total += len(raw)
        if total > MAX_TOTAL:
            raise Unmet(f"{archive.filename} inflates to more than {MAX_TOTAL >> 30} GiB", "a smaller log", "split it")
        yield name, raw


def unpacked(archive: zipfile.ZipFile, file: Any, info: zipfile.ZipInfo) -> bytes:
    """At most `MAX_BYTES` and one of a member. Raises what zlib, zipfile and Arrow raise for damaged ones."""
    if info.compress_type != ZSTD:
        with archive.open(info) as stream:
            return stream.read(MAX_BYTES + 1)
    if info.flag_bits & 1:
        raise RuntimeError("it is locked")
    file.seek(info.header_offset)
    mark, name, extra = struct.unpack("<4s22xHH", file.read(30))
    if mark != b"PK\x03\x04":
        raise zipfile.BadZipFile
    file.seek(name + extra, 1)
    raw = _inflated(file.read(info.compress_size))
    if len(raw) <= MAX_BYTES and zlib.crc32(raw) != info.CRC:
        raise zipfile.BadZipFile
    return raw


def _inflated(packed: bytes) -> bytes:
    """At most `MAX_BYTES` and a little of frames of zstd."""
    out, size = [], 0
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        while size <= MAX_BYTES and (piece := stream.read(1 << 20)):
            out.append(piece)
            size += len(piece)
    return b"".join(out)


def read_json(path: Path) -> Log:
    """A log that is one JSON value. Raises Unmet."""
    faults = Faults(path)
    if path.stat().st_size > MAX_JSON:
        raise Unmet(f"{path} is larger than {MAX_JSON >> 20} MiB", "an .eval", "inspect log convert --to eval")
    try:
        value = value_of(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        faults.add(1, error)
        faults.refuse()
    if not isinstance(value, dict) or "eval" not in value:
        if isinstance(value, dict) and "configs" in value:
            raise Unmet(f"{path} holds lm-eval's results", "its samples", "name samples_….jsonl, from --log_samples")
        raise Unmet(
            f"{path} is one JSON value and no log of Inspect", "an object with `eval` and `samples`", "name one"
        )
    samples, held = [], value.get("samples")
    for number, one in enumerate(held if isinstance(held, list) else ()):
        try:
            samples.append(_sample(one))
        except (ValueError, TypeError, RecursionError) as error:
            faults.add(f"samples[{number}]", error)
    faults.refuse()
    return _log(path, value, samples)


def _sample(one: Any) -> Sample:
    """Raises ValueError, TypeError, RecursionError with the reason."""
    if not isinstance(one, dict):
        raise TypeError(f"is {type(one).__name__}, expected an object")
    if "id" not in one or "target" not in one:
        raise TypeError("has no id or no target")
    long, asked, target = one.get("attachments") or {}, turns(one.get("input")), one["target"]
    if one.get("choices"):
        asked = _with_choices(asked, one["choices"])
    output, scores = one.get("output") or {}, one.get("scores") or {}
    if not all(isinstance(held, dict) for held in (output, scores, long)):
        raise TypeError("its output, scores or attachments are no objects")
    return kept(
        Sample(
            id=str(one["id"]),
            input=_attached(asked, long),
            target=target[0] if isinstance(target, list) and len(target) == 1 else target,
            answer=whole(_attached(output.get("completion"), long)),
            values=dict(_values(scores)),
            fields=one.get("metadata") if isinstance(one.get("metadata"), dict) else {},
            at=_time(one.get("started_at")),
            fault="the sample ended in an error"
            if one.get("error")
            else "the sample was declared invalid"
            if one.get("invalidation")
            else None,
        )
    )


def _with_choices(asked: Json, choices: Any) -> Json:
    """The question with what may be chosen, since another choice makes another item."""
    listed = "".join(f"\n{chr(ord('A') + number)}) {text_of(one)}" for number, one in enumerate(choices))
    if isinstance(asked, str):
        return asked + listed
    return [*asked[:-1], asked[-1] | {"content": asked[-1]["content"] + listed}]


def _values(scores: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(metric, value); a scorer with several values gives ``SCORER/NAME``."""
    for name, score in scores.items():
        value = score.get("value") if isinstance(score, dict) else score
        if isinstance(value, dict):
            yield from ((f"{name}/{inner}", held) for inner, held in value.items())
        else:
            yield name, value


def _attached(value: Json, long: Mapping[str, Any]) -> Json:
    """With long texts, which a log may keep apart, in their places."""
    if isinstance(value, str):
        return long.get(value.removeprefix("attachment://"), value) if value.startswith("attachment://") else value
    if isinstance(value, list):
        return [_attached(one, long) for one in value]
    return {key: _attached(one, long) for key, one in value.items()} if isinstance(value, dict) else value


def _log(path: Path, value: Any, samples: list[Sample]) -> Log:
    told = part(value, "eval")
    if not told:
        raise Unmet(f"{path} has no header", "header.json or _journal/start.json with `eval`", "copy it again")
    options = part(told, "model_generate_config") | part(value, "plan", "config")
    status, notes = value.get("status", "started"), []
    if status != "success":
        known = status if status in ("started", "cancelled", "error") else "nothing that is known"
        notes.append(f"Inspect says of this log: {known}")
    if value.get("invalidated"):
        notes.append("samples of this log were declared invalid")
    header = Header(
        tool="inspect",
        version=said(part(told, "packages").get("inspect_ai")),
        task=str(told.get("task") or path.stem),
        task_version=said(told.get("task_version")),
        model=said(told.get("model")),
        started=_time(told.get("created")),
        sampling={name: one for name, one in options.items() if one is not None and name not in HOW_IT_RAN},
        notes=tuple(notes),
    )
    return header, samples


def _time(text: Any) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None
