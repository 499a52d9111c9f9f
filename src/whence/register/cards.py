"""A model card as Hugging Face's hub and trainers write one: a README.md that begins with YAML. All of it is claimed by
its author; nothing here proves anything."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import yaml

from whence.records import Json, NotFound, Unmet

CARD_BYTES, FRONT_BYTES = 4 << 20, 256 << 10
"""A longer card, or longer YAML at its head, is refused."""
DEEPEST, MOST_NODES = 12, 20_000
"""Levels and nodes of YAML; cards have 6 and a few hundred."""
MOST, LONGEST = 500, 1000
"""Entries of a list, and characters of an entry, that are read."""

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Makes text, lists and mappings only: no types, so that ``language: no`` is a language and a tag makes no object."""
_front = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE).match
_section = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_setting = re.compile(r"^[-*][ \t]+([A-Za-z_][\w ./-]{0,80}?)[ \t]*:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_version = re.compile(r"^[-*][ \t]+([A-Za-z][\w-]{0,40})[ \t]*:?[ \t]+v?(\d[\w.+-]{0,40})[ \t]*$", re.MULTILINE)
_method = re.compile(r"^This model was trained with ([A-Z][\w-]{1,30})\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardMetric:
    """A number that the card's ``model-index`` claims."""

    name: str
    """such as accuracy"""
    value: float
    dataset: str | None
    """on what"""
    task: str | None
    verified: bool
    """whether the card says that somebody else measured it; that too is a claim"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card claims."""

    license: str | None = None
    """the hub's id of a licence, such as apache-2.0"""
    base_model: tuple[str, ...] = ()
    """hub ids"""
    base_model_relation: str | None = None
    """adapter, finetune, merge, quantized"""
    datasets: tuple[str, ...] = ()
    """hub ids"""
    language: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    library: str | None = None
    """such as peft"""
    method: str | None = None
    """such as SFT, where TRL wrote the card"""
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    """of the section "Training hyperparameters" """
    versions: Mapping[str, str] = field(default_factory=dict)
    """of the section "Framework versions" """
    metrics: tuple[CardMetric, ...] = ()
    faults: tuple[str, ...] = ()
    """parts that cannot be read, without their content"""

    def claims(self) -> Iterator[tuple[str, str]]:
        """(what, said) of everything that the card claims, in words."""
        for what in (
            "license",
            "base_model",
            "base_model_relation",
            "datasets",
            "language",
            "library",
            "method",
            "tags",
        ):
            value = getattr(self, what)
            if value:
                yield what, value if isinstance(value, str) else ", ".join(value)
        yield from ((f"hyperparameter {name}", value) for name, value in self.hyperparameters.items())
        yield from ((f"version {name}", value) for name, value in self.versions.items())
        for metric in self.metrics:
            yield f"metric {metric.name}", f"{metric.value:g}" + (f" on {metric.dataset}" if metric.dataset else "")


def read_card(path: Path) -> Card:
    """A card from its file, or from the README.md of a folder. What of it has the wrong type is a fault of the card,
    and the rest is read. Raises NotFound, and Unmet where nothing can be read."""
    file = path / "README.md" if path.is_dir() else path
    text = _text(file)
    front = _front(text)
    if front is None and text.lstrip("\ufeff").startswith("---"):
        raise _unmet(file, "its YAML has no end", "a line '---' after it")
    said = _Fields(_yaml(file, front[1]) if front else {})
    body = "\n".join(line for line in text[front.end() if front else 0 :].split("\n") if len(line) <= 2 * LONGEST)
    sections = dict(_sections(body))
    method = _method.search(body)
    return Card(
        license=said.text("license"),
        base_model=said.texts("base_model"),
        base_model_relation=said.text("base_model_relation"),
        datasets=said.texts("datasets"),
        language=said.texts("language"),
        tags=said.texts("tags"),
        library=said.text("library_name"),
        method=method[1] if method else None,
        hyperparameters=_pairs(_setting, sections.get("training hyperparameters", "")),
        versions=_pairs(_version, sections.get("framework versions", "")),
        metrics=tuple(said.metrics()),
        faults=tuple(said.faults),
    )


def _unmet(file: Path, found: str, expected: str = "a model card as the hub writes one") -> Unmet:
    return Unmet(f"{file}: {found}", expected, "mend the card, or leave it out")


def _text(file: Path) -> str:
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as held:
            if not stat.S_ISREG(os.fstat(held.fileno()).st_mode):
                raise _unmet(file, "no plain file")
            data = held.read(CARD_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no model card {file}") from None
    except OSError as error:
        raise _unmet(file, f"cannot be read: {error.strerror}") from error
    if len(data) > CARD_BYTES:
        raise _unmet(file, f"longer than {CARD_BYTES >> 20} MiB")
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _unmet(file, f"not UTF-8 at byte {error.start}") from None


def _yaml(file: Path, text: str) -> dict[str, Json]:
    """The mapping that this YAML spells. Its events are counted before anything is built: no alias, few levels."""
    if len(text) > FRONT_BYTES:
        raise _unmet(file, f"its YAML is longer than {FRONT_BYTES >> 10} KiB")
    depth = 0
    try:
        for number, event in enumerate(yaml.parse(text, _Loader)):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _unmet(file, "its YAML has anchors or aliases, which can grow without end", "YAML without them")
            opens = isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent)
            depth += opens - isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent)
            if depth > DEEPEST or number > MOST_NODES:
                raise _unmet(file, f"its YAML has more than {DEEPEST} levels or {MOST_NODES:,} parts")
        made = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 2}" if mark else ""
        raise _unmet(file, f"its YAML cannot be read{where}") from None
    except (ValueError, TypeError, RecursionError):
        raise _unmet(file, "its YAML cannot be read") from None
    if made in (None, ""):
        return {}
    if not isinstance(made, dict):
        raise _unmet(file, "its YAML is no mapping")
    return made


class _Fields:
    """Members of the card's YAML by type; what has another is noted and left out."""

    def __init__(self, held: dict[str, Json]) -> None:
        self._held, self.faults = held, list[str]()

    def _fault(self, name: str, expected: str) -> None:
        self.faults.append(f"{name} is not {expected}")

    def text(self, name: str) -> str | None:
        """One line, or a list of one."""
        found = self.texts(name)
        if len(found) > 1:
            self._fault(name, "one line of text")
        return found[0] if len(found) == 1 else None

    def texts(self, name: str) -> tuple[str, ...]:
        """A line, or a list of lines."""
        value = self._held.get(name)
        listed = value if isinstance(value, list) else [] if value in (None, "") else [value]
        if any(not _line(one) for one in listed) or len(listed) > MOST:
            self._fault(name, "text or a list of texts")
            return ()
        return tuple(dict.fromkeys(listed))

    def metrics(self) -> Iterator[CardMetric]:
        """Of every result of every model of ``model-index``."""
        for model in self._list(self._held.get("model-index")):
            for result in self._list(_of(model, "results")):
                task, data = _named(_of(result, "task")), _named(_of(result, "dataset"))
                for metric in self._list(_of(result, "metrics")):
                    name, value = _of(metric, "type") or _of(metric, "name"), _number(_of(metric, "value"))
                    if not _line(name) or value is None:
                        self._fault("a metric of model-index", "a name and a finite number")
                        continue
                    verified = _of(metric, "verified") == "true"
                    yield CardMetric(name=name, value=value, dataset=data, task=task, verified=verified)

    def _list(self, value: Json) -> list[Json]:
        if isinstance(value, list):
            return value[:MOST]
        if value not in (None, ""):
            self._fault("a part of model-index", "a list")
        return []


def _line(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()


def _of(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


def _named(value: Json) -> str | None:
    named = _of(value, "name") or _of(value, "type")
    return named if _line(named) else None


def _number(value: Json) -> float | None:
    try:
        number = float(value) if isinstance(value, str) and len(value) < 64 else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _sections(body: str) -> Iterator[tuple[str, str]]:
    """(title in small letters, text up to the next title)."""
    heads = list(_section.finditer(body))
    for head, after in zip_longest(heads, heads[1:]):
        yield head[1].lower(), body[head.end() : after.start() if after else len(body)]


def _pairs(pattern: re.Pattern[str], text: str) -> dict[str, str]:
    found = [(match[1].strip(), match[2]) for match in pattern.finditer(text)]
    return {name: value for name, value in found[:MOST] if _line(value)}
