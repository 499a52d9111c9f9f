"""What a licence says of a declared use: a table (``licences.toml``) and a few rules over it. Pure; no legal advice.

The rules, their order and what is contested stand in docs/licences.md. What the table does not know is `unknown`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from whence.records import Use

Answer = Literal["allowed", "barred", "unknown"]
SHARE_ALIKE = frozenset({"same-license", "same-license--file", "same-license--library"})
DUTIES = {
    "include-copyright": "keep the notice of copyright and licence, name the source",
    "include-copyright--source": "keep the notice of copyright and licence in source form",
    "document-changes": "say what was changed",
    "disclose-source": "offer the source",
    "network-use-disclose": "offer the source to users over a network",
    "same-license": "share what is adapted under the same licence",
    "same-license--file": "share changed files under the same licence",
    "same-license--library": "share the changed library under the same licence",
    "use-policy": "hand on the uses that are forbidden",
    "name-prefix": "put its name before yours",
    "no-competing-model": "train no model that competes with its maker's",
    "many-users": "ask for other terms above 700 million users a month",
}
"""Tag → what it asks of who trains."""
OWN = "LicenseRef-Own"
OTHERS = ("generators", "titles")
"""Tables of the file that are no licences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """One entry of the table."""

    id: str
    """SPDX id, or LicenseRef-NAME"""
    title: str
    permits: frozenset[str]
    """tags"""
    duties: tuple[str, ...]
    """tags, in the table's order"""
    limits: frozenset[str]
    """tags"""
    clause: str
    """where in the text the decisive words stand"""
    url: str | None = None
    """where the text can be read"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What an expression says of a use."""

    verdict: Answer
    """unknown is never a permission"""
    why: str
    """in a line"""
    clause: str
    """``ID clause`` of each licence that decided"""
    duties: tuple[str, ...] = ()
    """keys of `DUTIES` that come with the permission"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """How an expression is counted beside other tables."""

    use: Literal["any", "non-commercial", "academic"]
    attribution: bool
    share_alike: bool


def rule(expression: str | None, use: Use) -> Ruling:
    """What a licence says of this use. AND: the duties of all, the strictest verdict; OR: the freest of them; a WITH
    adds permissions, so it is read without. What has no entry in the table is unknown."""
    if expression is None or not expression.strip():
        return Ruling(verdict="unknown", why="no licence is stated", clause="none")
    parsed = _parsed(expression)
    if parsed is None:
        return Ruling(verdict="unknown", why="not in the table", clause="none")
    return _solved(parsed, use)


def licence_id(text: str) -> str | None:
    """The id of a single licence as people write it, or None."""
    known = _names().get(_alike(text))
    return known or (OWN if text.startswith(f"{OWN}-") else None)


def licence_of(name: str) -> Licence | None:
    """The table's entry for an id or another spelling of it."""
    found = licence_id(name)
    return table()[found] if found else None


def terms_of(generator: str, use: Use | None = None) -> str | None:
    """The terms on what this model writes: as the use states them, else as the table knows them by the name's
    beginning, else None."""
    if use is not None and generator in use.generators:
        return use.generators[generator]
    name = _squeezed(generator)
    for begin, terms in _generators():
        if name.startswith(begin) and not _goes_on(begin, name[len(begin) :]):
            return terms
    return None


def parts(expression: str | None) -> list[str]:
    """The licences that an expression names, by id where the table knows them; none for what is no expression."""
    parsed = _parsed(expression) if expression else None
    return _leaves(parsed) if parsed is not None else []


def classes(expression: str | None) -> Class | None:
    """Use, attribution and share-alike of an expression, for comparing tables; None where any part is not settled."""
    found = [table().get(name) for name in parts(expression)]
    if not found or any(one is None or "unsettled" in one.limits for one in found):
        return None
    entries = [one for one in found if one is not None]
    academic = any("research-only" in one.limits for one in entries)
    commercial = all("commercial-use" in one.permits for one in entries)
    return Class(
        use="academic" if academic else "any" if commercial else "non-commercial",
        attribution=any(duty.startswith("include-copyright") for one in entries for duty in one.duties),
        share_alike=any(duty in SHARE_ALIKE for one in entries for duty in one.duties),
    )


# -- rules -------------------------------------------------------------------------------------------------------------


def _solved(node: Any, use: Use) -> Ruling:
    if isinstance(node, str):
        return _single(node, use)
    how, parts = node
    rulings = [_solved(part, use) for part in parts]
    order: tuple[Answer, ...] = ("allowed", "unknown", "barred")
    if how == "OR":
        return min(rulings, key=lambda one: (order.index(one.verdict), len(one.duties)))
    worst = max(rulings, key=lambda one: order.index(one.verdict)).verdict
    deciding = [one for one in rulings if one.verdict == worst]
    return Ruling(
        verdict=worst,
        why="; ".join(dict.fromkeys(one.why for one in deciding)),
        clause=", ".join(dict.fromkeys(one.clause for one in deciding)),
        duties=tuple(dict.fromkeys(duty for one in rulings for duty in one.duties)),
    )


def _single(name: str, use: Use) -> Ruling:
    entry = table().get(name)
    if entry is None:
        return Ruling(verdict="unknown", why="not in the table", clause="none")
    clause = f"{entry.id} {entry.clause}"
    for verdict, why in _objections(entry, use):
        return Ruling(verdict=verdict, why=why, clause=clause)
    extra = tuple(limit for limit in ("no-competing-model", "many-users") if limit in entry.limits)
    duties = () if "results" in entry.permits else entry.duties
    return Ruling(verdict="allowed", why="permitted", clause=clause, duties=(*duties, *extra))


def _objections(entry: Licence, use: Use) -> Iterator[tuple[Answer, str]]:
    """What speaks against it, the weightier first. See docs/licences.md for each line."""
    permits, limits = entry.permits, entry.limits
    free = "results" in permits
    if "research-only" in limits and (use.commercial or not use.research):
        yield "barred", "for academic research only"
    if "unsettled" in limits:
        yield "unknown", "its terms must be read by a person"
    if "commercial-use" not in permits and "unsettled" not in limits and use.commercial:
        yield "barred", "not for commercial use"
    if "no-competing-model" in limits and use.competes:
        yield "barred", "its maker forbids training a model that competes"
    if "modifications" not in permits and use.distribute == "weights":
        yield "barred", "nothing adapted may be shared"
    if "no-competing-model" in limits and use.competes is None:
        yield "unknown", "its maker forbids training a model that competes: say use.competes"
    if "own-family-only" in limits:
        yield "unknown", "may improve models of its own family only"
    if "modifications" not in permits and not (use.distribute == "none" and "private-modifications" in permits):
        yield "unknown", "whether training adapts it is contested, and nothing adapted may be shared"
    if "distribution" not in permits and use.distribute == "weights":
        yield "unknown", "nothing says that what is made of it may be distributed"
    if use.distribute == "weights" and not free and SHARE_ALIKE & set(entry.duties) and not _same(entry, use):
        yield "unknown", "whether share-alike reaches a model's weights is contested, and they go out under other terms"
    if use.distribute == "service" and "network-use-disclose" in entry.duties:
        yield "unknown", "whether its duty to users over a network reaches a model is contested"


def _same(entry: Licence, use: Use) -> bool:
    return use.licence is not None and licence_id(use.licence) == entry.id


# -- expressions and names ---------------------------------------------------------------------------------------------

_IDLE = re.compile(r"\b(?:the|public(?= licen)|licen[cs]e|version|international|unported|generic|deed)\b")


def _alike(text: str) -> str:
    """The spelling under which two names of one licence meet."""
    text = text.strip().casefold().removeprefix("spdx:")
    text = re.sub(r"^https?://(www\.)?|/(legalcode|deed)?(\.\w\w|\.txt|\.html|\.php)?/?$", "", text)
    text = re.sub(r"\bv\.?(?=\d)", "", _IDLE.sub(" ", text))
    return re.sub(r"[^\w.+]+", "-", text).strip("-.")


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.casefold()).strip()


def _goes_on(begin: str, rest: str) -> bool:
    """Whether the name goes on in the middle of a word or number."""
    return bool(rest) and ((begin[-1].isdigit() and rest[0].isdigit()) or (begin[-1].isalpha() and rest[0].isalpha()))


def _parsed(expression: str) -> Any:
    """An id, or (AND or OR, parts); names that the table does not know stay as they are. None: no expression."""
    whole = licence_id(expression)
    if whole:
        return whole
    from license_expression import ExpressionError, Licensing  # noqa: PLC0415  (0.3 s to load)

    try:
        tree = Licensing().parse(expression)
    except (ExpressionError, ValueError, RecursionError, AttributeError, TypeError):
        return None
    return None if tree is None else _tree(tree)


def _tree(node: Any) -> Any:
    name = type(node).__name__
    if name in ("AND", "OR"):
        return name, [_tree(part) for part in node.args]
    key = node.license_symbol.key if name == "LicenseWithExceptionSymbol" else node.key
    return licence_id(key) or key


def _leaves(node: Any) -> list[str]:
    return [node] if isinstance(node, str) else [leaf for part in node[1] for leaf in _leaves(part)]


@cache
def _raw() -> dict[str, Any]:
    return tomllib.loads((files("whence.govern") / "licences.toml").read_text(encoding="utf-8"))


@cache
def table() -> dict[str, Licence]:
    """Id → entry, all of them."""
    return {
        name: Licence(
            id=name,
            title=one["title"],
            permits=frozenset(one["permits"]),
            duties=tuple(one["duties"]),
            limits=frozenset(one["limits"]),
            clause=one["clause"],
            url=one.get("url"),
        )
        for name, one in _raw().items()
        if name not in OTHERS
    }


def titles() -> dict[str, str]:
    """Words of a text's title → id, for texts of which no sketch is kept."""
    return dict(_raw()["titles"])


@cache
def _names() -> dict[str, str]:
    """Spelling → id. An id's own spelling goes before another's name."""
    also = {_alike(name): key for key, one in _raw().items() for name in one.get("names", ()) if key not in OTHERS}
    return also | {_alike(key): key for key in table()}


@cache
def _generators() -> list[tuple[str, str]]:
    """(beginning of a model's name, terms), the longest first."""
    pairs = [(_squeezed(name), terms) for name, terms in _raw()["generators"].items()]
    return sorted(pairs, key=lambda pair: -len(pair[0]))
