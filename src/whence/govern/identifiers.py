"""What a person is called in texts: names, addresses, numbers. Only keyed digests of them are kept, apart and erasable;
the record says for whom, of which kinds and how many. See docs/subjects.md.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from whence.records import Unmet
from whence.store import IDENTIFIERS, Store, in_bulk
from whence.store.lines import read_lines
from whence.text import Mark, fold, mark_of, tokens_of
from whence.text.mentions import TOKEN

Kind = Literal["name", "email", "account", "order", "phone", "other"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Strength = Literal["strong", "weak"]
Progress = Callable[[int, int], None]
"""(done, of how many)."""

MAX_CHARS = 256
"""of an identifier"""
SHOWN = 100
"""Faults written out in one message; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """What somebody is called, in clear: on its way to a digest."""

    subject: str
    """the person's identifier as in your data, or their pseudonym"""
    kind: Kind
    """what it is"""
    value: str
    """itself"""


class Kept(NamedTuple):
    """An identifier as it is kept. A tuple: there are many."""

    said: int
    """number of the event that brought it"""
    at: int
    """its place in that event's payload"""
    subject: str
    """pseudonym"""
    kind: str
    """what it is"""
    strength: str
    """strong or weak, see `strength`"""
    mark: Mark
    """by which it is found"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What was kept of some identifiers."""

    subjects: int
    """people"""
    new: int
    """identifiers that were not known of them before"""
    weak: int
    """of the new ones, those whose matches wait for a person"""
    known: int
    """identifiers that were known already"""


# -- how much an identifier says -------------------------------------------------------------------------------------

ENOUGH_BITS = 8 * math.log2(10)
"""As much as eight random digits: by accident one row in 10^8 numbers has it."""
LEAST_DIGITS = 4
LEAST_EMAIL = 10
"""letters and digits"""
LEAST_PHONE = 9
"""digits; fewer lack the area"""
FEWEST_PHONE = 5
"""digits; fewer are no phone number at all"""
CODE = 3
"""letters; a longer run is a word, whose letters say less"""
BITS = {"digit": math.log2(10), "code": math.log2(26), "word": 1.5}
EMPTY = frozenset({
    "account", "accounts", "case", "client", "code", "contract", "customer", "id", "invoice", "member", "no", "nr",
    "num", "number", "order", "orders", "ref", "reference", "ticket", "user"
})  # fmt: skip
"""Words that say what a number is and nothing of whose."""
SHARED = frozenset({
    "abuse", "admin", "billing", "contact", "hello", "help", "helpdesk", "hr", "info", "jobs", "kontakt", "legal",
    "mail", "marketing", "newsletter", "no", "noreply", "office", "orders", "postmaster", "press", "privacy",
    "reply", "sales", "security", "service", "shop", "support", "team", "webmaster"
})  # fmt: skip
"""Mailboxes that nobody owns alone."""


def strength(kind: Kind, value: str) -> Strength:
    """Whether an identifier means one person wherever it stands (strong) or may mean others too (weak): the matches of
    a weak one wait for a person.

    A name is weak, in full too: 221 of the 500 customers of tau_bench share theirs with another one.
    """
    tokens = tokens_of(value)
    digits = "".join(token for token in tokens if token.isdigit())
    if kind == "name":
        return "weak"
    if kind == "email":
        local, at, domain = fold(value).rpartition("@")
        whose = TOKEN.findall(local)
        personal = bool(at and whose) and not SHARED.issuperset(whose) and "." in domain.strip(". ")
        return "strong" if personal and len("".join(tokens)) >= LEAST_EMAIL else "weak"
    if _pattern(digits):
        return "weak"
    if kind == "phone":
        return "strong" if len(digits) >= LEAST_PHONE else "weak"
    return "strong" if len(digits) >= LEAST_DIGITS and _bits(value) >= ENOUGH_BITS else "weak"


def _bits(value: str) -> float:
    """How much the tokens of a number or code say, in bits."""
    text, total = fold(value), 0.0
    for found in TOKEN.finditer(text):
        token = found[0]
        if token.isdigit():
            total += len(token) * BITS["digit"]
        elif token not in EMPTY:
            beside = text[max(found.start() - 1, 0) : found.start()] + text[found.end() : found.end() + 2].lstrip("-_#")
            code = len(token) <= CODE and any(char.isdigit() for char in beside)
            total += len(token) * BITS["code" if code else "word"]
    return total


def _pattern(digits: str) -> bool:
    """Whether digits are such as people type when they have none: 0000000, 12345678."""
    run = "0123456789" * 2
    return len(digits) >= LEAST_DIGITS and (len(set(digits)) <= 2 or digits in run or digits in run[::-1])


def fault_of(value: object, kind: Kind = "other") -> str | None:
    """Why this cannot be an identifier of its kind, or None. Quotes nothing of it."""
    if not isinstance(value, str):
        return f"is {type(value).__name__}, expected text"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds a lone surrogate, which is not text"
    if len(value) > MAX_CHARS:
        return f"has {len(value):,} characters, more than {MAX_CHARS}"
    if any(unicodedata.category(char) == "Cc" for char in value):
        return "holds a control character"
    if len("".join(tokens_of(value))) < 2:
        return "has fewer than two letters or digits, which stand everywhere; give it as texts do, such as 'order 1'"
    if kind == "email" and not re.search(r"[^\s@]@[^\s@]*[^\s@.]\.[^\s@.]", fold(value)):
        return "is no e-mail address: a name, @, and a domain with a dot in it"
    if kind == "phone" and sum(char.isdigit() for char in value) < FEWEST_PHONE:
        return f"is no phone number: it has fewer than {FEWEST_PHONE} digits"
    return None


# -- files -----------------------------------------------------------------------------------------------------------


def read_identifiers(path: Path) -> list[Identifier]:
    """The identifiers of a file of JSON lines ``{"subject", "kind", "value"}``, blank lines skipped. Raises Unmet that
    names every bad line."""
    form, then = '{"subject": …, "kind": …, "value": …}', "nothing was kept"
    found = read_lines(path, object, lambda said, _: _line(said), holds="identifier", form=form, then=then)
    return list(found.values())


def _line(said: object) -> Identifier:
    if not isinstance(said, dict) or set(said) != {"subject", "kind", "value"}:
        raise ValueError("is no object of subject, kind and value")
    checked = Identifier(**said)
    _check(checked)
    return checked


def _check(one: Identifier) -> None:
    """Raises ValueError with the reason, which quotes nothing."""
    if one.kind not in KINDS:
        raise ValueError(f"kind is none of {', '.join(KINDS)}")
    if not isinstance(one.subject, str) or not one.subject or len(one.subject) > 4096:
        raise ValueError("subject is no text of 1 to 4,096 characters")
    try:
        one.subject.encode()
    except UnicodeEncodeError:
        raise ValueError("subject holds a lone surrogate, which is not text") from None
    fault = fault_of(one.value, one.kind)
    if fault:
        raise ValueError(f"value {fault}")


# -- the record ------------------------------------------------------------------------------------------------------


def pseudonym_of(store: Store, subject: str) -> str:
    """The pseudonym of a person named by their identifier in the data, or by the pseudonym itself."""
    return subject if subject.startswith("subject-") else store.keys.pseudonym(subject)


def identify(store: Store, said: Iterable[Identifier], progress: Progress = lambda *_: None) -> Identified:
    """Keep these identifiers, all or none; a person decides it. Whoever is named by their own identifier in the data is
    found by that too. What is known already is passed over. Search afterwards. Raises Unmet, Damaged."""
    store.person()
    asked = list(said)
    progress(0, len(asked))
    faults = []
    for number, one in enumerate(asked, 1):
        try:
            _check(one)
        except ValueError as error:
            faults.append(f"identifier {number}: {error}")
    if faults:
        raise Unmet("\n  ".join(faults[:SHOWN]), "identifiers of 2 to 256 characters", "correct them; none was kept")
    with store.writer("identify people"), in_bulk():
        journal = store.journal(IDENTIFIERS)
        journal.drop_all_but(store.noted_segments(IDENTIFIERS))  # of one that was killed before its events came
        key = store.keys.get(IDENTIFIERS)
        store.keys.save()
        known = {(one.subject, one.kind, one.mark.whole) for one in kept(store)}
        fresh, again = _fresh(store, key, asked, known, progress)
        bodies = [(subject, _body(marks)) for subject, marks in fresh.items()]
        entries = [journal.append(body) for _, body in bodies]
        journal.sync()
        counts = [Counter(kind for kind, *_ in body["identifiers"]) for _, body in bodies]
        with store.transaction():
            store.note_words(IDENTIFIERS, entries)
            store.append_many(
                ("subject.identified", f"subject:{subject}", dict(count), None, entry.digest)
                for (subject, _), count, entry in zip(bodies, counts, entries, strict=True)
            )
    marks = [mark for _, body in bodies for mark in body["identifiers"]]
    weak = sum(strong == "weak" for _, strong, *_ in marks)
    return Identified(subjects=len(bodies), new=len(marks), weak=weak, known=again)


def _fresh(
    store: Store, key: bytes, asked: Sequence[Identifier], known: set[tuple[str, str, bytes]], progress: Progress
) -> tuple[dict[str, list[tuple[Kind, Strength, Mark]]], int]:
    """(subject → what is new of them, how many were known)."""
    fresh: dict[str, list[tuple[Kind, Strength, Mark]]] = {}
    again, people = 0, dict.fromkeys(one.subject for one in asked)
    own = [Identifier(subject=s, kind="account", value=s) for s in people if not s.startswith("subject-")]
    pseudonyms = {subject: pseudonym_of(store, subject) for subject in people}
    for number, one in enumerate([*asked, *(one for one in own if fault_of(one.value) is None)]):
        if number % 1000 == 0:
            progress(min(number, len(asked)), len(asked))
        subject, mark = pseudonyms[one.subject], mark_of(key, tokens_of(one.value))
        if (subject, one.kind, mark.whole) in known:
            again += number < len(asked)
            continue
        known.add((subject, one.kind, mark.whole))
        fresh.setdefault(subject, []).append((one.kind, strength(one.kind, one.value), mark))
    return fresh, again


def _body(marks: Sequence[tuple[Kind, Strength, Mark]]) -> dict[str, list[list[str | int]]]:
    """Kind, strength, tokens, digits, first, whole."""
    return {"identifiers": [[*said, *mark[:2], mark.first.hex(), mark.whole.hex()] for *said, mark in marks]}


def kept(store: Store, as_of: datetime | None = None, after: int = 0) -> list[Kept]:
    """All identifiers that are kept, in order; as they were known at a time; only of events after that number. Those
    whose payload was erased are none."""
    events = [e for e in store.events("subject.identified", as_of=as_of) if e.seq > after]
    words = store.many_words(e.payload for e in events if e.payload)
    found = []
    for event in events:
        subject = event.about.removeprefix("subject:")
        for at, held in enumerate(words[event.payload]["identifiers"] if event.payload in words else ()):
            kind, strong, tokens, digits, first, whole = held
            mark = Mark(tokens, digits, bytes.fromhex(first), bytes.fromhex(whole))
            found.append(Kept(event.seq, at, subject, kind, strong, mark))
    return found
