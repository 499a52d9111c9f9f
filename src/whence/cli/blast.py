"""A blast radius at the command line, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whence.cli.session import SHOWN, wrapped
from whence.lifecycle.blast_lines import answer, notes, standings, tree

if TYPE_CHECKING:
    from whence.lifecycle.blast import BlastRadius
    from whence.verbs import Session

LISTED = 10_000
"""Rows whose ids are given; the rest is counted."""


def text(w: Session, blast: BlastRadius) -> str:
    """The answer, what holds, the tree, and what was not looked at."""
    lines = [answer(blast), *(wrapped(line, 2) for line in standings(blast))]
    branches = list(tree(w.store, blast))
    lines += ["", *(_hung(line, 2 * depth) for depth, _, line, _ in branches[:SHOWN])] if branches else []
    if len(branches) > SHOWN:
        lines.append(f"… and {len(branches) - SHOWN:,} more (--json or --html shows all)")
    said = [wrapped(note, 0) for note in notes(blast)]
    return "\n".join([*lines, *(["", *said] if said else [])])


def _hung(line: str, indent: int) -> str:
    """A line of the tree, whose columns stand however many blanks are between them."""
    first = wrapped(line.replace("  ", "\0\0"), indent)
    return first.replace("\0", " ")


def value(w: Session, blast: BlastRadius) -> dict[str, Any]:
    """A blast radius for programs."""
    from whence.records import text_time

    return {
        "answer": answer(blast),
        "outcome": blast.outcome,
        "asked": list(blast.asked),
        "what_if": blast.what_if,
        "whole": blast.whole,
        "standings": {
            about: None
            if one is None
            else {
                "state": one.state,
                "since": text_time(one.since),
                "event": one.event,
                "terms": [
                    {"licence": t.licence, "since": text_time(t.since), "event": t.event, "reach": t.reach}
                    for t in one.terms
                ],
                "contradicted": list(one.contradicted),
            }
            for about, one in blast.standings.items()
        },
        "because": dict(blast.because),
        "rows": {
            what: {"count": len(rows), "ids": _row_ids(w, rows)}
            for what, rows in (
                ("direct", blast.direct),
                ("derived", blast.derived),
                ("review", blast.review),
                ("mediated", blast.mediated),
            )
        },
        **{
            what: [
                {key: getattr(one, key) for key in ("id", "name", "level", "rows", "review", "mediated", "retired")}
                | {"through": dict(one.through)}
                for one in group
            ]
            for what, group in (
                ("snapshots", blast.snapshots),
                ("runs", blast.runs),
                ("adapters", blast.adapters),
                ("releases", blast.releases),
            )
        },
        "deployments": [
            {key: getattr(one, key) for key in ("deployment", "release", "name", "endpoint", "state", "level")}
            | {"must_come_down": one.state != "ended" and one.level == "breach"}
            for one in blast.deployments
        ],
        "suites": [
            {key: getattr(one, key) for key in ("id", "name", "role", "items", "evaluations")} for one in blast.suites
        ],
        "notes": notes(blast),
    }


def _row_ids(w: Session, rows: Any) -> list[str]:
    from whence.store import row_set

    first = row_set([ordinal for _, ordinal in zip(range(LISTED), rows, strict=False)])
    return ["b2k1:" + raw.hex() for batch in w.store.scan(["id"], first) for raw in batch["id"].to_pylist()]
