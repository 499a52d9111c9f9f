"""Commands of ``whence adopt`` that read what other tools wrote."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import SHOWN, AsJson, here, say, short, table, wrapped

if TYPE_CHECKING:
    from whence.evaluate import Evidence
    from whence.govern import Share


def traces(
    files: Annotated[list[str], typer.Argument(help="JSON lines or JSON, packed or not.", show_default=False)],
    answered_by: Annotated[
        str, typer.Option("--as", metavar="RELEASE|ENDPOINT", help="Who answered, or where a release is deployed.")
    ],
    format: Annotated[str, typer.Option("--format", help="auto, openai, langfuse or otel.")] = "auto",
    consent: Annotated[
        str, typer.Option("--consent", help="Of answers whose log does not forbid it: none or train.")
    ] = "none",
    map_model: Annotated[
        list[str] | None, typer.Option("--map-model", metavar="NAME=RELEASE", help="What the log calls a release.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", metavar="LOW:HIGH", help="What numeric scores range over, such as 0:1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answers that were given elsewhere: exit code 4 where nothing in the files is one."""
    from whence.serve.importing import FORMATS

    for said, option, known in ((format, "--format", ("auto", *FORMATS)), (consent, "--consent", ("none", "train"))):
        if said not in known:
            raise typer.BadParameter(f"{said!r} is none of {', '.join(known)}", param_hint=option)
    with here(as_json) as w:
        made = w.adopt.traces(
            *files,
            answered_by=answered_by,
            format=format,
            consent=consent,  # type: ignore[arg-type]
            map_model=dict(_pair(said) for said in map_model or []),
            scale=_scale(scale),
        )
    lines = [
        f"{made.records:,} records: {made.traces:,} answers taken in, {made.known:,} were there",
        f"{made.feedback:,} reactions taken in, {made.feedback_known:,} were there",
    ]
    if made.left:
        why = ", ".join(f"{reason} {count:,}" for reason, count in made.left.items())
        lines.append(f"{sum(made.left.values()):,} parts left out: {why}")
        lines += [f"  {one.file}:{one.line}  {one.reason}" for one in made.first]
    if made.models:
        lines.append("names that mean no release: " + ", ".join(f"{name} {n:,}" for name, n in made.models.items()))
        lines.append("  do: --map-model NAME=RELEASE for those that are yours")
    say(asdict(made), "\n".join(lines), as_json)
    raise typer.Exit(4 if made.nothing else 0)


def mlflow(
    uri: Annotated[str, typer.Argument(help="A tracking server or its database.", show_default=False)],
    experiment: Annotated[str | None, typer.Option("--experiment", metavar="NAME", help="Only of this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Adapters that MLflow names: exit code 2 where one was refused, 4 where none is on this machine."""
    with here(as_json) as w:
        found = w.adopt.mlflow(uri, experiment=experiment)
    rows = [
        (b.model, b.version or "—", b.state, b.release or "—", " ".join(b.aliases) or "—", b.base or "—") for b in found
    ]
    text = table(rows, ("model", "version", "state", "release", "aliases", "base (claimed)")) if rows else "nothing"
    text += "".join(f"\n{b.model} {b.version or ''}: {b.why}" for b in found if b.why)
    say([asdict(b) for b in found], text, as_json)
    states = {b.state for b in found}
    raise typer.Exit(2 if "refused" in states else 0 if states & {"adopted", "known"} else 4)


def evals(
    files: Annotated[
        list[str], typer.Argument(help="Logs of Inspect or lm-eval, or JSON lines with `right`.", show_default=False)
    ],
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="NAME", help="What answered; default: a base of the log's name.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="What the log calls it, if that is another name.")
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", metavar="NAME", help="Which of several.")] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="Whose items these are; a new name makes a suite.")
    ] = None,
    slice: Annotated[
        list[str] | None, typer.Option("--slice", metavar="FIELD", help="Makes slices of a new suite; repeat it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluations that Inspect, lm-eval or another tool ran, as evidence for gates: exit code 4 where nothing in them
    is scored."""
    with here(as_json, create=True, project=False) as w:
        found = w.adopt.evals(*files, adapter=adapter, model=model, metric=metric, suite=suite, slice=slice or ())
    tell_evidence(found, as_json)


def tell_evidence(found: list[Evidence], as_json: bool) -> None:
    """What became of each log. Raises Exit."""
    lines = []
    for one in found:
        shown = "nothing scored"
        if one.value is not None:
            shown = f"{one.right:,} of {one.n:,} right, {one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"
        made = "made of this log" if one.new_suite else f"{one.paired:,} of its {one.items:,} items are in the log"
        asked = " ".join(filter(None, (one.tool, one.version, one.task)))
        lines += [
            f"{short(one.evaluation)}  {asked}: {one.model}, {one.metric} " + ("adopted" if one.fresh else "was there"),
            f"  {shown}",
            f"  suite {one.suite}: {made}",
        ]
        if one.unscored:
            why = ", ".join(f"{reason} {count:,}" for reason, count in one.unscored.items())
            lines.append(wrapped(f"{sum(one.unscored.values()):,} unscored: {why}", 2))
        lines += [wrapped(f"note: {note}", 2) for note in one.notes]
    say([asdict(one) for one in found], "\n".join(lines), as_json)
    raise typer.Exit(0 if any(one.n for one in found) else 4)


def card(
    file: Annotated[str, typer.Argument(help="A README.md, or the folder of one.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """What a model card claims; exit code 4 where it claims nothing. Nothing is recorded."""
    from pathlib import Path

    from whence.register.cards import read_card

    made = read_card(Path(file))
    claims = list(made.claims())
    text = "claimed by the card, proven by nothing:\n" + table(claims, ("what", "said")) if claims else "no claim"
    say(asdict(made), text + "".join(f"\nnot read: {fault}" for fault in made.faults), as_json)
    raise typer.Exit(0 if claims else 4)


def _pair(said: str) -> tuple[str, str]:
    name, equals, release = said.rpartition("=")
    if not (name and equals and release):
        raise typer.BadParameter("expected NAME=RELEASE", param_hint="--map-model")
    return name, release


def _scale(said: str | None) -> tuple[float, float] | None:
    if said is None:
        return None
    low, _, high = said.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise typer.BadParameter("expected LOW:HIGH, such as 0:1", param_hint="--scale") from None


def audit(
    file: Annotated[str, typer.Argument(help="JSON lines, one data set each.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """An audit of data sets' licences: who says what, and how far they disagree. Exit code 2 where a line is bad."""
    with here(as_json, create=True, project=False) as w:
        made = w.adopt.audit(file)
    head = f"{made.datasets:,} data sets, {made.claims:,} claims: " + ("adopted" if made.fresh else "nothing new")
    rows = [(one.what, one.count, one.n, _interval(one)) for one in made.shares]
    lines = [head, table(rows, ("share", "count", "of", "95 % interval"))]
    if made.unmapped:
        lines.append(wrapped(f"not in the table: {', '.join(made.unmapped)}", 0))
    if made.generators:
        lines.append(wrapped(f"models whose terms are not known: {', '.join(made.generators)}", 0))
    lines += [wrapped(f"line {number}: {why}", 0) for number, why in made.bad[:SHOWN]]
    say(asdict(made), "\n".join(lines), as_json)
    raise typer.Exit(2 if made.bad else 0)


def _interval(share: Share) -> str:
    if share.low is None or share.high is None:
        return "nothing to count"
    return f"{share.count / share.n:.1%}, {share.low:.1%} to {share.high:.1%}"
