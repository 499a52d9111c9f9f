"""``whence data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from whence.cli.session import AsJson, here, say, short, table, verb, walked

app = verb(no_args_is_help=True, help="Ingest, quarantine, what each step removed; diff, undo.")


@app.command(epilog="Example: whence data ingest")
def ingest(as_json: AsJson = False) -> None:
    """Read every source of whence.toml into rows."""
    with here(as_json, create=True) as w:
        out = w.data.ingest()
    if as_json:
        say(walked(out), "", True)


@app.command(epilog="Example: whence data curate")
def curate(as_json: AsJson = False) -> None:
    """Ingest, then apply the curation steps and freeze a snapshot."""
    with here(as_json, create=True) as w:
        out = w.data.curate()
    if as_json:
        say(walked(out), "", True)


@app.command(epilog="Example: whence data quarantine tickets --words")
def quarantine(
    source: Annotated[str | None, typer.Argument(help="Only this source.", show_default=False)] = None,
    words: Annotated[bool, typer.Option("--words", help="Show the reasons and lines themselves (content!).")] = False,
    as_json: AsJson = False,
) -> None:
    """Lines that did not become rows, by source, line and reason."""
    with here(as_json) as w:
        found = w.data.quarantine(source, words=words)
    values: list[dict[str, Any]] = [
        {"source": q.source, "line": q.line, "reason": q.reason} | ({"words": q.words} if words else {}) for q in found
    ]
    if words:
        text = "\n".join(
            f"{q.source}:{q.line}  {q.reason}: {q.words['reason']}\n    {(q.words.get('line') or '(not kept)')[:200]}"
            for q in found
        )
    else:
        text = table([(q.source, q.line, q.reason) for q in found], ("source", "line", "reason"))
    say(values, text if found else "nothing is in quarantine", as_json)


@app.command(epilog="Example: whence data removed --step exact_duplicate")
def removed(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot; default: the newest.", show_default=False)] = None,
    step: Annotated[str | None, typer.Option("--step", help="Only this step; lists its rows.")] = None,
    as_json: AsJson = False,
) -> None:
    """What each curation step did not keep, and because of which row."""
    from dataclasses import asdict

    with here(as_json) as w:
        found: list[Any] = w.data.removed(snapshot, step=step)
    if step is None:
        rows = [(s.name, s.seen, s.kept, ", ".join(f"{k} {v}" for k, v in sorted(s.reasons.items()))) for s in found]
        value = [{"step": s.name, "seen": s.seen, "kept": s.kept, "reasons": dict(s.reasons)} for s in found]
        say(value, table(rows, ("step", "seen", "kept", "not kept, by reason")), as_json)
        return
    listed = table([(r.row, r.reason, r.because or "") for r in found], ("row", "reason", "because of"))
    say([asdict(r) for r in found], listed if found else f"{step} removed nothing", as_json)


@app.command(epilog="Example: whence data diff --words")
def diff(
    after: Annotated[str | None, typer.Argument(help="A snapshot; default: the newest.", show_default=False)] = None,
    before: Annotated[
        str | None, typer.Argument(help="Another; default: all rows that it was made from.", show_default=False)
    ] = None,
    examples: Annotated[int, typer.Option("--examples", help="Of each step that decided by likeness.")] = 3,
    words: Annotated[bool, typer.Option("--words", help="Show the texts, differing words marked (content!).")] = False,
    as_json: AsJson = False,
) -> None:
    """What curation did to each slice, or what differs between two snapshots."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.data.diff(after, before, examples=examples, words=words)
    lines = [f"{found.gone:,} rows gone, {found.came:,} came, {found.lowered:,} weigh less"]
    rows = [
        (one.slice, f"{one.before:,.6g}", f"{one.after:,.6g}", _share(one.before, one.after)) for one in found.slices
    ]
    lines.append(table(rows[:SLICES], ("slice", "before", "after", "left")))
    lines += [f"… and {len(rows) - SLICES:,} slices more: --json"] if len(rows) > SLICES else []
    for one in found.examples:
        what = "went" if one.weight == 0 else f"weighs {one.weight:.2g}"
        lines.append(f"{one.step}: {one.row} {what}, for {one.because} is {one.jaccard:.0%} like it")
        lines += [f"    {one.words}"] if one.words else []
    say(asdict(found), "\n".join(lines), as_json)


SLICES = 40
"""lines of slices that are printed"""


def _share(before: float, after: float) -> str:
    return f"{after / before:.0%}" if before else "new"


@app.command(epilog="Example: whence data survival --topics")
def survival(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot; default: the newest.", show_default=False)] = None,
    topics: Annotated[bool, typer.Option("--topics", help="With slices found by clustering, called by words.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every slice that a curation step made smaller, and how likely that is by chance."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.data.survival(snapshot, topics=topics)
    rows = [
        (one.step, one.slice, one.before, f"{one.after:.6g}", f"{one.p:.2g}", one.items or "none",
         "starved" if one.starved else "") for one in found
    ]  # fmt: skip
    head = ("step", "slice", "before", "after", "p, adjusted", "items", "")
    text = table(rows[:SLICES], head) if rows else "no step made any slice smaller"
    text += f"\n… and {len(rows) - SLICES:,} slices more: --json" if len(rows) > SLICES else ""
    say([asdict(one) | {"starved": one.starved} for one in found], text, as_json)


@app.command(epilog="Example: whence data leaks --document handbook.txt")
def leaks(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot; default: the newest.", show_default=False)] = None,
    documents: Annotated[
        list[Path] | None,
        typer.Option("--document", help="Look in this text or JSON-lines file as well; may be repeated."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder", metavar="FOLDER", help="Of a sentence encoder (or: minilm), to find other words as well."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluation items that stand in training rows or prompts, of every suite; and how many of planted ones are found.

    Exit code 0: none; 2: some leak; 4: some are there in part, for a person to look at.
    """
    from whence.cli.check import told

    with here(as_json) as w:
        told(w, w.data.leaks(snapshot, documents=documents or (), encoder=encoder), as_json)


@app.command(epilog="Example: whence data drop --leaks --reason 'gate items, pasted in by hand'")
def drop(
    rows: Annotated[
        list[str] | None, typer.Argument(help="Rows, as SOURCE:RECORD, or by id.", show_default=False)
    ] = None,
    leaks: Annotated[bool, typer.Option("--leaks", help="Those in which data leaks finds items.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in words.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rows go from the next snapshot on; data is curated again. `whence data undo dropped` takes it back."""
    with here(as_json) as w:
        out = w.data.drop(*(rows or ()), leaks=leaks, reason=reason)
    if as_json:
        say(walked(out), "", True)


@app.command(epilog="Example: whence data sweep")
def sweep(
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot; default: the newest.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """What near-duplicates at each threshold would cost: all rows, and the slice that suffers most."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.data.sweep(snapshot)
    rows = [
        (one.threshold, f"{one.left:.1%}", one.slice or "none", one.slice_before, f"{one.slice_left:.1%}")
        for one in found
    ]
    say([asdict(o) for o in found], table(rows, ("threshold", "rows left", "worst slice", "rows", "left")), as_json)


@app.command(epilog="Example: whence data near rows.parquet more.jsonl --id ticket --out pairs.parquet")
def near(
    paths: Annotated[
        list[str],
        typer.Argument(help="Parquet, JSON lines (gzip), folders; with daft and ray URLs too.", show_default=False),
    ],
    column: Annotated[str, typer.Option("--column", help="Of the texts.")] = "text",
    id: Annotated[str, typer.Option("--id", help="Column of ids: text or whole numbers, each once.")] = "id",
    threshold: Annotated[float, typer.Option("--threshold", help="Jaccard index of word 3-grams, to 1.")] = 0.8,
    engine: Annotated[str, typer.Option("--engine", help="local, daft, or ray: the answer is the same.")] = "local",
    address: Annotated[str | None, typer.Option("--address", help="Of the Ray cluster; none: start Ray here.")] = None,
    out: Annotated[str | None, typer.Option("--out", help="Write the pairs: Parquet of left, right, jaccard.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pairs of texts in files that are much alike, by id; needs no project. Texts are not printed."""
    from whence.data.near_files import nearby
    from whence.data.text_files import Files

    found = nearby(Files(paths, column, id, engine, address), threshold, out)
    some = found.pairs.slice(0, PAIRS).to_pylist()
    counts = {"texts": found.texts, "pairs": len(found.pairs), "clusters": found.clusters, "clustered": found.clustered}
    text = "{texts:,} texts: {pairs:,} pairs, which connect {clustered:,} texts to {clusters:,} clusters"
    lines = [text.format(**counts)]
    rows = [(pair["left"], pair["right"], f"{pair['jaccard']:.3f}") for pair in some]
    lines += ["", table(rows, ("left", "right", "jaccard"))] if rows else []
    lines += [f"… and {len(found.pairs) - PAIRS:,} pairs more"] if len(found.pairs) > PAIRS else []
    lines += [f"wrote {out}"] if out else []
    say(counts | {"examples": some, "out": out}, "\n".join(lines), as_json)


@app.command(
    epilog="Example: whence data overlap rows.parquet --items gate.jsonl --column question --out found.parquet"
)
def overlap(
    paths: Annotated[
        list[str],
        typer.Argument(help="Parquet, JSON lines (gzip), folders; with daft and ray URLs too.", show_default=False),
    ],
    items: Annotated[list[str], typer.Option("--items", help="Files of evaluation texts; may be given again.")],
    column: Annotated[str, typer.Option("--column", help="Of the texts, in all files.")] = "text",
    id: Annotated[str, typer.Option("--id", help="Column of ids: text or whole numbers, each once.")] = "id",
    engine: Annotated[str, typer.Option("--engine", help="local, daft, or ray: the answer is the same.")] = "local",
    address: Annotated[str | None, typer.Option("--address", help="Of the Ray cluster; none: start Ray here.")] = None,
    out: Annotated[str | None, typer.Option("--out", help="Write what was found: Parquet, a pair a row.")] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluation texts that stand in texts of files, by id; needs no project. Texts are not printed.

    How much texts of such a set have in common anyway is not measured here: whence data leaks does, in a project.
    """
    from whence.data.overlap_files import overlapping
    from whence.data.text_files import Files

    found = overlapping(Files(paths, column, id, engine, address), items, out)
    names = ("texts", "items", "whole", "part", "everyday", "blind")
    counts = {name: getattr(found, name) for name in names} | {"pairs": len(found.pairs)}
    leaked = found.pairs.filter([not natural for natural in found.pairs["natural"].to_pylist()])
    some = leaked.slice(0, PAIRS).to_pylist()
    text = (
        "{texts:,} texts: of {items:,} items {whole:,} stand in one whole, {part:,} in part; {everyday:,} more share "
    )
    text += "what is everyday"
    lines = [text.format(**counts)]
    lines += [f"{found.blind:.0%} of the items are too short to be told in part"] if found.blind else []
    rows = [(one["row"], one["item"], one["tier"], f"{one['coverage']:.0%}", f"{one['bits']:.0f}") for one in some]
    lines += ["", table(rows, ("text", "item", "tier", "of the item", "bits"))] if rows else []
    lines += [f"… and {len(leaked) - PAIRS:,} pairs more"] if len(leaked) > PAIRS else []
    lines += [f"wrote {out}"] if out else []
    say(counts | {"examples": some, "out": out}, "\n".join(lines), as_json)


PAIRS = 10
"""that are shown"""


@app.command(epilog="Example: whence data undo near_duplicate tickets:t-00012 --reason 'the only angry one'")
def undo(
    step: Annotated[str, typer.Argument(help="The curation step.", show_default=False)],
    rows: Annotated[
        list[str] | None, typer.Argument(help="Only these, as SOURCE:RECORD; default: all of them.", show_default=False)
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in words.")] = None,
    as_json: AsJson = False,
) -> None:
    """A step does nothing any more to what it left out or lowered; then data is curated again."""
    with here(as_json) as w:
        out = w.data.undo(step, *(rows or ()), reason=reason)
    if as_json:
        say(walked(out), "", True)


@app.command("list", epilog="Example: whence data list")
def list_(as_json: AsJson = False) -> None:
    """Sources and snapshots in the store."""
    with here(as_json) as w:
        found = w.data.list()
    sources = [{"source": name, "rows": rows} for name, rows in found.sources.items()]
    snapshots = [
        {"snapshot": ref, "name": s.name, "rows": s.rows, "root": s.root} for ref, s in found.snapshots.items()
    ]
    text = table(list(found.sources.items()), ("source", "rows"))
    text += "\n\n" + table(
        [(s.name, s.rows, short(ref), short(s.root)) for ref, s in found.snapshots.items()],
        ("snapshot", "rows", "digest", "Merkle root"),
    )
    say({"sources": sources, "snapshots": snapshots}, text, as_json)


@app.command(epilog="Example: whence data show tickets:t-00012")
def show(
    row: Annotated[str, typer.Argument(help="A row's id or its first digits, or SOURCE:RECORD.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """One row with its content (content is personal data: mind where you print it)."""
    from whence.records import plain

    with here(as_json) as w:
        value = plain(w.data.show(row))
    text = "\n".join(f"{name:<15} {held}" for name, held in value.items())
    say(value, text, as_json)
