"""A blast radius in words: the answer in one line, what holds, how each thing is reached; the same as a page."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

from whence.lifecycle.blast import BlastRadius, Reached
from whence.records import writing
from whence.store import Store

Branch = tuple[int, str, str, str]
"""(depth, level, what it is, its digest)."""


def short(digest: str) -> str:
    """The first 12 hex digits, which every verb takes for the whole."""
    return digest.rpartition(":")[2][:12]


def answer(blast: BlastRadius) -> str:
    """What to do, in one line."""
    live, models = blast.live, len(blast.adapters)
    used = [one for one in blast.adapters if not one.retired]
    where = "the record" if blast.whole else "what stands behind live deployments"
    if not blast.of:
        return "there are no rows"
    if not blast.rows and not blast.suites:
        if not blast.asked:
            return f"of {blast.of:,} rows none is withdrawn, disputed or barred"
        return "nothing of it may not be used" if not blast.what_if else "no row belongs to it"
    open_ = (
        f" ({len(blast.review):,} for a person to decide)" if blast.review and len(blast.review) < blast.rows else ""
    )
    rows = f"{blast.rows:,} row{'s' * (blast.rows != 1)}{open_}"
    if not models:
        return f"{rows}, and no adapter in {where} was trained on them"
    levels = [one.level for one in (live or used or blast.adapters)]
    kinds = [level for level in MEANING if level in levels]
    parts = (
        ", ".join(f"{levels.count(level)} {MEANING[level][0]}" for level in kinds) if len(kinds) > 1 and live else ""
    )
    counted = f"{len(live)} live deployment{'s' * (len(live) != 1)}{f' ({parts})' if parts else ''}"
    gone = f" ({models - len(used)} retired)" if len(used) < models else ""
    todo = MEANING[kinds[0]][1] if used else "stop what is live" if live else "nothing is left to take down"
    return f"{counted}, {models} adapter{'s' * (models != 1)}{gone}, {rows}; {todo}"


MEANING = {
    "breach": ("must come down", "retire or rebuild"),
    "review": ("to be decided", "a person has to decide"),
    "mediated": ("model-mediated", "reached only through what other models wrote"),
}
"""Level → what it means for one deployment, and what to do about the worst."""


def standings(blast: BlastRadius, most: int = 40) -> Iterator[str]:
    """What holds for what was asked, or for all that blocks."""
    held = list(blast.standings.items())
    for about, one in held[:most]:
        named = about.removeprefix("subject:")
        if blast.what_if:
            yield f"if {named} were withdrawn"
        elif one is None:
            yield f"{named}: nothing said of it holds (--what-if: what a withdrawal would reach)"
        else:
            terms = "".join(f", licence {t.licence or 'not named'} since {t.since:%Y-%m-%d %H:%M}" for t in one.terms)
            odd = f"; contradicted by event {one.contradicted[0]}, the stricter holds" if one.contradicted else ""
            use = f" for {one.use}" if one.use else ""
            yield f"{named}: {SAID[one.what]}{use} since {one.since:%Y-%m-%d %H:%M} (event {one.event}){terms}{odd}"
    if len(held) > most:
        yield f"… and {len(held) - most:,} more"
    for about, said in list(blast.because.items())[:most]:
        yield f"{about.removeprefix('subject:')}: {said}"


SAID = {
    "grant": "granted",
    "change": "terms changed",
    "dispute": "disputed",
    "withdraw": "withdrawn",
    "reinstate": "reinstated",
}
"""What somebody did → how it is said."""


def tree(store: Store, blast: BlastRadius) -> Iterator[Branch]:
    """Rows, then snapshot, adapter, release, deployment, each under what leads to it first."""
    if blast.rows:
        review = f"; of {len(blast.review):,} a person has to decide" if blast.review else ""
        yield 0, "", f"rows        {len(blast.direct):,} direct, {len(blast.derived):,} made from them{review}", ""
        yield from ((1, "", name, "") for name in _some(store, blast))
    if blast.mediated:
        yield 0, "mediated", f"rows        {len(blast.mediated):,} written by a model that was made from them", ""
    under: dict[str, list[Reached]] = {}
    ids = {one.id for one in (*blast.snapshots, *blast.adapters)}
    for one in (*blast.snapshots, *blast.adapters, *blast.releases):
        under.setdefault(next((ref for ref in one.through if ref in ids), ""), []).append(one)
    seen: set[str] = set()
    for root in (*under.get("", ()), *blast.adapters):  # models that only lead to each other, at the end
        yield from _branch(blast, under, root, 0, seen)
    for suite in blast.suites:
        said = f"{suite.items:,} items about people who do not allow it, {suite.evaluations:,} evaluations on it"
        yield 0, "breach", f"suite       {suite.name} ({suite.role}) {short(suite.id)}: {said}", suite.id


def _branch(
    blast: BlastRadius, under: dict[str, list[Reached]], one: Reached, depth: int, seen: set[str]
) -> Iterator[Branch]:
    if one.id in seen:
        return
    seen.add(one.id)
    yield depth, one.level, f"{_kind(blast, one):<11} {one.name} {short(one.id)}{_how(one)}", one.id
    for below in under.get(one.id, ()):
        yield from _branch(blast, under, below, depth + 1, seen)
    for served in blast.deployments:
        if served.release == one.id:
            must = {"breach": "must come down", "review": "a person has to decide", "mediated": "model-mediated"}
            said = must[served.level] if served.state != "ended" else "over"
            where = f"deployment  {served.endpoint} ({served.state}): {said}"
            yield depth + 1, served.level, where, served.deployment


def _kind(blast: BlastRadius, one: Reached) -> str:
    groups = {"snapshot": blast.snapshots, "adapter": blast.adapters, "release": blast.releases}
    return next(kind for kind, members in groups.items() if one in members)


def _how(one: Reached) -> str:
    if "released" in one.through.values():
        return ": retired" if one.retired else ""
    said = [f"{one.rows:,} of these rows"] if one.rows else []
    said += [f"{one.mediated:,} rows that a reached model wrote"] if one.mediated else []
    said += [f"{how} from {short(ref)}" for ref, how in one.through.items() if how in ("composed", "distilled")]
    said += ["model-mediated"] if one.level == "mediated" else ["to be decided"] if one.level == "review" else []
    return ": " + ", ".join([*said, "retired"] if one.retired else said)


def _some(store: Store, blast: BlastRadius, most: int = 5) -> list[str]:
    """The first of the rows, by the name that they have in their source."""
    named = []
    for part, what in ((blast.direct, ""), (blast.derived, " (made from them)")):
        some = [ordinal for _, ordinal in zip(range(most), part, strict=False)]
        rows = [store.row(ordinal) for ordinal in some]
        more = f" … and {len(part) - len(some):,} more" if len(part) > len(some) else ""
        named += [", ".join(f"{row.source}:{row.record}" for row in rows) + more + what] if rows else []
    return named


def notes(blast: BlastRadius) -> list[str]:
    """What was not looked at, or not known."""
    said = []
    if not blast.whole and (blast.rows or blast.suites):
        said.append("only what stands behind deployments that may still answer was looked at (--history: everything)")
    if blast.dark:
        some = ", ".join(blast.dark[:8]) + (" …" if len(blast.dark) > 8 else "")
        said.append(f"live, and nobody knows from which rows: {some} (see whence ask live)")
    silent = [one.endpoint for one in blast.live if one.state == "unknown"]
    if silent:
        said.append(f"not known to run still: {', '.join(silent[:8])}" + (" …" if len(silent) > 8 else ""))
    return said


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.35rem; margin-bottom: .25rem; } p { margin: .2rem 0; color: #4a5568; }
ul { list-style: none; padding-left: 1.3rem; border-left: 1px solid #d5dbe3; } ul.top { border: 0; padding-left: 0; }
li { margin: .25rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.breach { color: #a61b1b; } .review { color: #8a5a00; } .mediated { color: #5b3b8c; }
code { font-size: .75rem; color: #7a8594; display: block; }
@media (prefers-color-scheme: dark) { body { background: #14181f; color: #dde3ea; } p { color: #9aa7b5; }
.breach { color: #ff8d8d; } .review { color: #f0be62; } .mediated { color: #c6a8ff; } ul { border-color: #333c48; } }
"""


def page(store: Store, blast: BlastRadius, path: str | Path) -> None:
    """Write the answer and its tree as one file that needs no other."""
    parts, depth = [], -1
    for level_depth, level, line, ref in tree(store, blast):
        parts += ["<ul>"] * (level_depth - depth) if level_depth > depth else ["</li></ul>"] * (depth - level_depth)
        parts += ["</li>"] if level_depth <= depth else []
        shown = " ".join(line.split())
        parts.append(f'<li class="{level}">{html.escape(shown)}' + (f"<code>{html.escape(ref)}</code>" if ref else ""))
        depth = level_depth
    parts += ["</li></ul>"] * (depth + 1)
    when = f"as of {store.clock():%Y-%m-%d %H:%M} UTC, event {store.head()[0]}"
    head = f"<h1>{html.escape(answer(blast))}</h1>"
    said = "".join(f"<p>{html.escape(line)}</p>" for line in (*standings(blast), *notes(blast), when))
    body = head + said + "".join(parts).replace("<ul>", '<ul class="top">', 1)
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Blast radius</title>'
    with writing(path):
        Path(path).write_text(
            f'<!doctype html><html lang="en"><head>{meta}<style>{STYLE}</style></head><body>{body}</body></html>\n',
            encoding="utf-8",
        )
