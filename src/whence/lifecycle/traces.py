"""Logs of answers that were given elsewhere: read by `data`'s readers, taken in by `serve`, reactions by `feedback`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence.lineage import resolve
from whence.records import Adapter, Deployment, Json, NotFound, Ref, Unmet
from whence.serve.address import trimmed
from whence.store import Store

if TYPE_CHECKING:
    from whence.serve.importing import Answerers, Imported


def import_traces(
    store: Store,
    files: Sequence[Path],
    answered: str,
    *,
    format: str = "auto",
    consent: Literal["none", "train"] = "none",
    models: Mapping[str, str] | None = None,
    scale: tuple[float, float] | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Imported:
    """Bring in logs. `answered`: a release, or an endpoint where one is deployed. `models`: the log's name of a model →
    release. progress: (what, done, in all), in bytes. Raises Unmet, NotFound, Conflict."""
    from whence import feedback
    from whence.data.doors import opened
    from whence.data.readers import detect_format
    from whence.serve.importing import FORMATS, Intake, read_record

    if format not in ("auto", *FORMATS):
        raise Unmet(f"{format!r} is no format of a log", f"one of auto, {', '.join(FORMATS)}", "name one of them")
    if consent not in ("none", "train"):
        raise Unmet(f"{consent!r} is no consent", "none or train", "name one of them")
    if scale is not None and not -1e15 < scale[0] < scale[1] < 1e15:
        raise Unmet("the scale of scores does not rise", "LOW:HIGH, such as 0:1", "name its two ends")
    kinds = {path: detect_format(path) for path in files}
    for path, kind in kinds.items():
        if kind not in ("jsonl", "json"):
            raise Unmet(f"{path} is {kind}", "JSON lines, or JSON", "export the log as JSONL")
    answerers = _answerers(store, answered, models or {})
    with (
        store.writer("adopt traces"),
        Intake(store, answerers, consent=consent, scale=scale, send=feedback.send) as intake,
    ):
        for path, kind in kinds.items():
            with opened(path, store.root, lambda *_: None) as source:
                told = _told(progress, path.name, source.size)
                for line, record in _records(source.what, kind, source.size, told):
                    if isinstance(record, dict):
                        intake.take(path.name, line, read_record(record, format, unpack))
                    else:
                        intake.leave(path.name, line, record.code)
                source.check()
        for done, whole in intake.finish():
            progress("scores", done, whole)
        return intake.report()


def _told(progress: Callable[[str, int, int], None], name: str, size: int) -> Callable[[int], None]:
    return lambda done: progress(name, done, size)


def _records(file: io.BufferedReader, kind: str, size: int, told: Callable[[int], None]) -> Iterator[tuple[int, Json]]:
    """Records of a log. A JSON file that is no array is one record whole: its lists belong together."""
    from whence.data.lines import unpacked
    from whence.data.readers import read
    from whence.data.values import BOM, MAX_BYTES, TOO_LONG, Fault, record_of, value_of

    if kind == "json":
        stream = unpacked(file)
        if stream.peek(64).removeprefix(BOM).lstrip()[:1] != b"[":
            raw = stream.read(MAX_BYTES + 1)
            if len(raw) > MAX_BYTES:
                raise Unmet(f"the file is one JSON value {TOO_LONG}", "an array, or JSON lines", "export it as JSONL")
            raw = raw.removeprefix(BOM)
            value = value_of(raw) if raw.strip() else Fault("syntax", "the file is empty", b"")
            yield 1, record_of(value, raw)
            return
        file.seek(0)
    yield from read(file, kind, size, told)


def unpack(text: str) -> Json:
    """The list or object that a text spells, read as strictly as a line of a file; else the text itself."""
    from whence.data.values import Fault, is_deep, value_of

    if text[:1] not in ("[", "{"):
        return text
    value = value_of(text.encode("utf-8", "surrogatepass"))
    return text if isinstance(value, Fault) or is_deep(value) else value


def _answerers(store: Store, answered: str, models: Mapping[str, str]) -> Answerers:
    """Whose answers: the release's own names mean it, and those that were named."""
    from whence.serve.importing import Answerers

    release, endpoint = _release(store, answered)
    record = store.get(release)
    adapter = store.get(record.adapter, Adapter)
    own = {answered, record.name, record.name.rpartition("@")[0], adapter.name, release, f"whence:{record.name}"}
    named = {name: resolve(store, said)[0] for name, said in models.items()}
    return Answerers(release=release, models=dict.fromkeys(own, release) | named, endpoint=endpoint)


def _release(store: Store, answered: str) -> tuple[Ref, str | None]:
    """(release, endpoint) of what a person calls a release, or of the endpoint of a deployment."""
    if "://" not in answered:
        return resolve(store, answered)[0], None
    known = [d for _, d in store.all(Deployment)]
    there = {d.release: d.endpoint for d in known if trimmed(d.endpoint) == trimmed(answered)}
    if len(there) == 1:
        return next(iter(there.items()))
    if not there:
        listed = ", ".join(sorted({d.endpoint for d in known})[:8]) or "none yet"
        raise NotFound(
            f"no deployment is recorded at {answered}\n  expected: one of {listed}\n"
            "  do: name the release that answered there, or declare it: whence adopt FOLDER --live URL"
        )
    names = ", ".join(sorted(store.get(ref).name for ref in there))
    raise Unmet(f"several releases were deployed at {answered}: {names}", "one", "name the release with --as")
