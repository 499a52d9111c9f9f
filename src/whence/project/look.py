"""``whence init``: a commented project file from a look at the user's data."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path

from whence.data import MEMBERS, Place, detect_format, is_url, looked_at
from whence.data.readers import read
from whence.data.shape import FieldMap, content_of
from whence.data.values import Fault
from whence.records import Json, Unmet

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


def draft(file: Path | str, folder: Path) -> str:
    """The text of a project file for this data file, saved data set or URL. Raises Unmet when nothing in it can be
    read, BackendFailed when it cannot be fetched."""
    place = str(file) if is_url(str(file)) else Path(file)
    if not str(place).isprintable():
        raise Unmet(f"the name {str(place)!r} cannot be written into a project file", "letters", "rename it")
    if isinstance(place, Path) and not place.exists():
        raise Unmet(f"there is no file {place}", "a data file", "name one that exists")
    format = detect_format(place)
    with looked_at(place) as what:
        head = itertools.islice(read(what, format), LOOK_AT)
        records = [record for _, record in head if not isinstance(record, Fault)]
    if not records:
        raise Unmet(
            f"none of the first {LOOK_AT} records of {place} can be read", f"{format} records", "look at the file"
        )
    mapping = guess(records)
    slices = _slices(records, set(mapping.values()))
    inline = ", ".join(f"{k} = {_toml(v)}" for k, v in {**mapping, **({"slices": slices} if slices else {})}.items())
    content, fault = content_of(records[0], FieldMap.of(mapping))
    seen = f"{len(records)} records looked at; the first is read as {content['shape']}" if content else f"NOTE: {fault}"
    last = str(place).rstrip("/").rpartition("/")[2]
    name = re.sub("[^A-Za-z0-9_-]+", "-", last.split(".")[0]).strip("-_") or "data"
    shown = _toml(_shown(place, folder))
    return TEMPLATE.format(name=name, path=shown, map=inline, seen=seen, subject=_subject_note(mapping))


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
