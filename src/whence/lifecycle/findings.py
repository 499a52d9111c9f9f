"""What findings rest on, row by row, and all of them as one page."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whence.data import question_of
from whence.records import Finding, Ref, Row, Suite, texts, writing
from whence.store import Store

ORDER = ("fail", "abstain", "pass")
PAIRS = ("data.leaks", "data.kin", "data.meaning")
"""checks whose evidence is a table of rows and items"""
SHOWN = 50
"""examples of a finding on a page"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One thing that a finding rests on."""

    where: str
    """a row as `SOURCE:RECORD`, or by its id's first digits; a prompt, or a place in a document"""
    what: str
    """what is the matter with it"""
    words: str | None = field(default=None, repr=False)
    """what the row says, and the item that it holds: content"""


def by_severity(found: Sequence[Finding]) -> list[Finding]:
    """Those that fail first, the severe ones of these first."""
    return sorted(found, key=lambda one: (ORDER.index(one.verdict), one.severity != "high"))


def counted(found: Sequence[Finding]) -> str:
    """How many of each verdict."""
    count = Counter(finding.verdict for finding in found)
    return ", ".join(f"{count[verdict]} {verdict}" for verdict in ORDER if count[verdict])


def examples(store: Store, finding: Finding, most: int, words: bool = False) -> list[Example]:
    """Of what a finding rests on, the strongest first. words: with texts."""
    rows = store.get_set(finding.rows) if finding.rows else None
    table = store.get_table(finding.evidence[0]) if finding.check in PAIRS and finding.evidence else None
    if table is None:
        some = [store.row(ordinal) for ordinal in (list(rows)[:most] if rows else ())]
        return [Example(where=_named(row), what="", words=_said(row.content) if words else None) for row in some]
    told = [one for one in table.to_pylist() if one["ordinal"] is None or (rows and one["ordinal"] in rows)]
    found = list[Example]()
    for one in sorted(told, key=lambda one: (-one.get("coverage", 1), -one.get("bits", 1)))[:most]:
        row = None if one["ordinal"] is None else store.row(one["ordinal"])
        what = [f"item {one['item']}" if one["item"] else "the whole suite", one["tier"].replace("_", " ")]
        what += [f"{one['coverage']:.0%} of it"] if "coverage" in one else [one["evidence"]]
        what += ["same answer"] * one.get("same_answer", 0) + ["its bringer had looked at it"] * one.get("looked", 0)
        said = [_item(store, one.get("suite"), one["item"]), _said(row.content) if row else ""] if words else []
        where, text = _named(row) if row else str(one["place"]), "\n".join(filter(None, map(str.strip, said))) or None
        found.append(Example(where=where, what=", ".join(what), words=text))
    return found


def _named(row: Row) -> str:
    """A name of one row only: `#1` is what each row is called that its source gave no id and no equal before it."""
    return row.id[:17] if row.record.startswith("#") else f"{row.source}:{row.record}"


def _said(content: object) -> str:
    return " ⏎ ".join(texts(content)) if isinstance(content, dict) else ""  # type: ignore[arg-type]


def _item(store: Store, suite: str | None, item: str) -> str:
    if suite is None:
        return ""
    lines = store.get_lines(store.get(Ref(suite), Suite).items)
    return next((question_of({"prompt": one.get("input")}) for one in lines if str(one["id"]) == item), "")


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.35rem; margin-bottom: .25rem; } p, td { overflow-wrap: anywhere; } small { color: #5b6778; }
section { border-left: 4px solid #8a94a3; padding: .1rem 0 .1rem 1rem; margin: 1.2rem 0; }
section.fail { border-color: #a61b1b; } section.abstain { border-color: #b07a10; }
section.pass { border-color: #2c7a4b; }
h2 { font-size: 1rem; margin: .2rem 0; } table { border-collapse: collapse; width: 100%; font-size: .85rem; }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; vertical-align: top; border-top: 1px solid #dfe4ea; }
td:first-child { min-width: 10rem; } td.words { white-space: pre-wrap; }
@media (prefers-color-scheme: dark) { body { background: #14181f; color: #dde3ea; } small { color: #9aa7b5; }
td, th { border-color: #333c48; } }
"""


def page(store: Store, found: Sequence[Finding], path: str | Path, words: bool = False) -> None:
    """Write findings as one file that needs no other. words: with the texts of rows and items, which are content."""
    esc, parts = html.escape, list[str]()
    for one in by_severity(found):
        shown = examples(store, one, SHOWN, words)
        rows = "".join(
            f"<tr><td>{esc(e.where)}</td><td>{esc(e.what)}</td>"
            + (f'<td class="words">{esc(e.words or "")}</td></tr>' if words else "</tr>")
            for e in shown
        )
        head = "<tr><th>where</th><th>what</th>" + ("<th>item, and what is said there</th></tr>" if words else "</tr>")
        parts.append(
            f'<section class="{one.verdict}"><h2>{esc(one.verdict)} · {esc(one.check)} '
            f"<small>{esc(one.severity)} · {esc(one.about[:19])}…</small></h2><p>{esc(one.message)}</p>"
            + (f"<table>{head}{rows}</table>" if shown else "")
            + "</section>"
        )
    when = f"{store.clock():%Y-%m-%d %H:%M} UTC, event {store.head()[0]}"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Findings</title>'
    body = (
        f"<h1>{esc(counted(found) or 'no check says anything')}</h1><p><small>as of {when}</small></p>{''.join(parts)}"
    )
    with writing(path):
        Path(path).write_text(
            f'<!doctype html><html lang="en"><head>{meta}<style>{STYLE}</style></head><body>{body}</body></html>\n',
            encoding="utf-8",
        )
