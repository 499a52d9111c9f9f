"""``whence init``: a commented project file from a look at the user's data."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from whence.data import MEMBERS, Place, detect_format, is_url, looked_at
from whence.data.readers import read
from whence.data.shape import FieldMap, content_of
from whence.data.values import Fault, Record
from whence.project.places import file_faults
from whence.project.read import FILE
from whence.records import Json, Unmet, parse_time, writing

LOOK_AT = 200
"""records"""

FACTS = ("id", "subject", "group")
GUESSES = {
    "id": ("id", "uuid", "_id", "record_id"),
    "subject": ("customer", "customer_id", "user", "user_id", "subject", "client_id"),
    "group": ("conversation", "conversation_id", "session", "session_id", "thread_id"),
    "prompt": ("prompt", "question", "input", "instruction", "text", "query", "utterance"),
    "completion": ("completion", "answer", "output", "response", "label", "intent", "category"),
}
"""What a mapping needs → field names that people use for it, likeliest first."""


TIMES = ("collected_at", "created_at", "received_at", "sent_at", "timestamp", "created", "time", "datetime", "date")
"""Fields that people keep the time of a row in, likeliest first."""

NOTE = "NOTE: "
"""Begins a comment of a draft that its owner should read before anything runs."""


def notes(text: str) -> list[str]:
    """What a draft says that its owner should know at once."""
    begins = f"# {NOTE}"
    return [line.removeprefix(begins) for line in text.splitlines() if line.startswith(begins)]


def draft(file: Path | str, folder: Path) -> str:
    """The text of a project file for this data file, saved data set or URL. Raises Unmet when nothing in it can be
    read or the folder cannot take the file, BackendFailed when it cannot be fetched or written."""
    _takes(folder)
    place = str(file) if is_url(str(file)) else Path(file)
    if not str(place).isprintable():
        raise Unmet(f"the name {str(place)!r} cannot be written into a project file", "letters", "rename it")
    _, records, unread = _looked(place)
    mapping = guess(records)
    slices = _slices(records, set(mapping.values()))
    inline = ", ".join(f"{k} = {_toml(v)}" for k, v in {**mapping, **({"slices": slices} if slices else {})}.items())
    content, fault = content_of(records[0], FieldMap.of(mapping))
    seen = f"{len(records)} records looked at; the first is read as {content['shape']}" if content else f"{NOTE}{fault}"
    if unread:
        seen += f"\n# {NOTE}{unread}"
    last = str(place).rstrip("/").rpartition("/")[2]
    name = re.sub("[^A-Za-z0-9_-]+", "-", last.split(".")[0]).strip("-_") or "data"
    shown = _toml(_shown(place, folder))
    dated = _dated(records, set(mapping.values()), inline)
    return TEMPLATE.format(name=name, path=shown, map=inline, dated=dated, seen=seen, subject=_subject_note(mapping))


def guessed(place: Place) -> tuple[str, dict[str, str]]:
    """(format, mapping) of a data file from a look at its first records. Raises Unmet where nothing can be read."""
    format, records, _ = _looked(place)
    return format, guess(records)


def _looked(place: Place) -> tuple[str, list[dict[str, Json]], str]:
    """(format, the first records that can be read, what is to be said of the others)."""
    if isinstance(place, Path) and not place.exists():
        beside = next(file_faults(place), f"there is no file {place}")
        raise Unmet(beside, "a data file", "name one that exists")
    format = detect_format(place)
    with looked_at(place) as what:
        if _is_empty(what):
            raise Unmet(f"{place} is empty", f"{format} records", "name a file that holds some")
        head = list(itertools.islice(read(what, format), LOOK_AT))
    records = [record for _, record in head if not isinstance(record, Fault)]
    unread = _unread(head, "line" if format in ("jsonl", "csv") else "record")
    if not records:
        found = f"{place}: {unread}" if unread else f"{place} holds no record"
        raise Unmet(found, f"{format} records", "look at the file, or name another")
    return format, records, unread


def _takes(folder: Path) -> None:
    """That a project file can be written into this folder. Raises Unmet, BackendFailed."""
    target = folder / FILE
    with writing(target):
        if not folder.is_dir():
            found = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
            raise Unmet(found, f"the folder that {FILE} is to lie in", "make it, or name one that exists")
        if target.is_dir():
            raise Unmet(f"{target} is a folder", "a file, or nothing of that name", "move it away")
        if not os.access(target if target.exists() else folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _is_empty(what: io.BufferedReader | Path) -> bool:
    try:
        return not isinstance(what, Path) and not what.peek(1)
    except OSError:
        return False  # reading it says why


def _unread(head: Sequence[Record], unit: str) -> str:
    """How many of the records looked at cannot be read, why, and the first of them; nothing where all can."""
    faults = [(number, fault) for number, fault in head if isinstance(fault, Fault)]
    if not faults:
        return ""
    why = ", ".join(f"{code} {count}" for code, count in sorted(Counter(fault.code for _, fault in faults).items()))
    number, first = faults[0]
    reason = "".join(c if c.isprintable() else " " for c in first.reason)
    return f"{len(faults)} of the first {len(head)} records cannot be read: {why}; {unit} {number}: {reason}"


def _shown(place: Place, folder: Path) -> str:
    """The place as the project file in this folder spells it."""
    if isinstance(place, str):
        return place
    whole, home = place.resolve(), folder.resolve()
    return str(whole.relative_to(home) if whole.is_relative_to(home) else whole)


def _toml(value: str | list[str]) -> str:
    """Text, or a list of texts, as TOML spells it: as JSON does, but for DEL and for letters beyond ASCII."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def guess(records: list[dict[str, Json]]) -> dict[str, str]:
    """A mapping for these records; content members only where the records do not carry them by name."""
    fields = {f for record in records for f in record}
    mapping = {k: next(f for f in GUESSES[k] if f in fields) for k in FACTS if fields & set(GUESSES[k])}
    if mapping.get("id") and len({str(r.get(mapping["id"])) for r in records}) < len(records):
        del mapping["id"]
    if content_of(records[0], FieldMap.of({}))[0] is None or not fields & MEMBERS:
        for member in ("prompt", "completion"):
            found = next((f for f in GUESSES[member] if f in fields and f not in mapping.values()), None)
            if found:
                mapping[member] = found
    elif fields >= {"text"} and content_of(records[0], FieldMap.of({}))[0]["shape"] == "text":
        answer = next((f for f in GUESSES["completion"] if f in fields), None)
        if answer:
            mapping |= {"prompt": "text", "completion": answer}
    return mapping


def _slices(records: list[dict[str, Json]], taken: set[str]) -> list[str]:
    """Fields with 2 to 12 short values: worth numbers of their own."""
    out = []
    for field in sorted({f for record in records for f in record} - taken - MEMBERS):
        if not field.isprintable():
            continue
        values = [record.get(field) for record in records if record.get(field) is not None]
        texts = {v for v in values if isinstance(v, str) and len(v) <= 40}
        if len(values) > len(records) // 2 and 2 <= len(texts) <= 12 and all(isinstance(v, str) for v in values):
            out.append(field)
    return out


def _dated(records: list[dict[str, Json]], taken: set[str], inline: str) -> str:
    """The map with the field that seems to say when a row was collected, as a comment; nothing where none does."""
    for field in TIMES:
        values = [record[field] for record in records if record.get(field) not in (None, "")]
        if field not in taken and values and all(map(_is_time, values)):
            with_time = ", ".join(filter(None, [inline, f"collected_at = {_toml(field)}"]))
            says = f"# {field!r} looks like the time at which a row was collected; if so, take this line instead:"
            return f"{says}\n# map = {{ {with_time} }}\n"
    return ""


def _is_time(value: Json) -> bool:
    """Whether it is a time with its zone."""
    try:
        return isinstance(value, str) and len(value) > len("2026-11-01") and bool(parse_time(value))
    except (ValueError, OverflowError):
        return False


def _subject_note(mapping: Mapping[str, str]) -> str:
    if "subject" in mapping:
        return f"{mapping['subject']!r} looks like a person; stored as a pseudonym only"
    return 'map subject = "FIELD" if a field says whom a row is about'


TEMPLATE = """\
# The project file of whence. `whence run` walks it from top to bottom.

[project]
name = "{name}"
owner = "you@example.org"            # who answers for what comes out
# backup = "colleague@example.org"   # and who does when you have left

[store]
path = ".whence"                     # the record; the keys lie outside it, in whence.key

# {seen}
[[sources]]
name = "{name}"
path = {path}
kind = "human_annotation"            # production_log, synthetic, user_correction, licensed, scraped
# licence = "CC-BY-4.0"              # SPDX, or LicenseRef-NAME; rows without a licence go to quarantine
# evidence = "https://…"             # where that can be read
# consent_basis = "contract"         # needed when rows are about people
# {subject}
map = {{ {map} }}
{dated}
# What the models are for: every licence is held against it, see docs/licences.md
# [use]
# commercial = true
# distribute = "service"             # none: nobody outside; service: answers; weights: the model itself
# competes = false                   # with the makers of models that wrote rows

# What is left out, and why, is kept for every row: whence data removed
[[curate]]
step = "exact_duplicate"

[[curate]]
step = "normalised_duplicate"        # same but for case and punctuation

[[curate]]
step = "length"
max_chars = 20000

# [[curate]]
# step = "disjoint"                  # nobody is both in training and in a suite
# by = "subject"

[base]
path = "./base"                      # a folder with safetensors, or a hub id such as "org/model"

[recipe]                             # every field has a default: see `docs/project-file.md`
epochs = 2
learning_rate = 2e-4

# One suite chooses the base's best prompt, one judges.
# [[suites]]
# name = "dev"
# role = "dev"
# path = "dev.jsonl"
# scorer = "label"                   # exact, regex, json_schema
# map = {{ id = "id", input = "text", expected = "intent", group = "customer" }}
#
# [[suites]]
# name = "gate"
# role = "gate"
# path = "gate.jsonl"
# scorer = "label"
# map = {{ id = "id", input = "text", expected = "intent", group = "customer" }}

[gate]                               # fixed before the candidate's first score
min_gain = 0.0
min_items = 100

[serving]
alias = "{name}"
port = 8321
"""
