"""``whence eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import typer

from whence.cli.session import AsJson, here, say, short, table, verb, walked

if TYPE_CHECKING:
    from whence.lifecycle.exposure import Exposure
    from whence.lifecycle.retiring import Retired

app = verb(no_args_is_help=True, help="Evaluate base and candidate on the same items.")


@app.command(epilog="Example: whence eval run")
def run(as_json: AsJson = False) -> None:
    """Walk to the evaluation: base with its best prompt, then the gate is fixed, then the candidate."""
    with here(as_json, create=True) as w:
        out = w.eval.run()
    if as_json:
        say(walked(out), "", True)


@app.command(epilog="Example: whence eval lint --reviews reviews.jsonl")
def lint(
    reviews: Annotated[
        Path | None,
        typer.Option(
            "--reviews",
            metavar="FILE",
            help='What people said of answers: {"criterion", "output", "reviewer", "verdict": "pass"} a line.',
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What keeps the requirements in whence.toml from being falsified. Exit code 0: nothing; 2: something fails; 4: too
    little evidence."""
    from whence.cli.check import told

    with here(as_json, create=True) as w:
        told(w, w.eval.lint(reviews), as_json)


@app.command(epilog="Example: whence eval parity --at http://gpu1:8000/v1 --model bank-support@2")
def parity(
    at: Annotated[str | None, typer.Option("--at", metavar="URL", help="Where it is served: https://…/v1.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="What the server at --at calls it.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VARIABLE", help="Environment variable that holds its key.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Is what is served what was evaluated? The same items through the adapter, merged weights and an endpoint.

    Exit code 0: within five points of the score; 2: shown to be worse; 4: too little evidence.
    """
    from whence.cli.check import told
    from whence.verbs import Hosted

    if (at is None) != (model is None) or (key and not at):
        raise typer.BadParameter("--at and --model go together, --key goes with them", param_hint="--at")
    with here(as_json) as w:
        told(w, w.eval.parity(Hosted(url=at, model=str(model), key=key) if at else None), as_json)


@app.command(epilog="Example: whence eval judges pairs.jsonl --at http://localhost:8000/v1 --model judge-1")
def judges(
    pairs: Annotated[
        Path,
        typer.Argument(
            help='What people chose: {"id", "question", "a", "b", "chosen": "a", "a_ok": true, "b_ok": false, "a_by", '
            '"b_by"} a line; the last four may be absent.',
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None, typer.Option("--at", metavar="URL", help="A hosted judge: https://…/v1; default: [judge].")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="What the server at --at calls it.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VARIABLE", help="Environment variable that holds its key.")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="A judge in this process: folder or hub id.")] = None,
    kind: Annotated[
        Literal["pair", "grade"] | None,
        typer.Option("--kind", help="A choice between two answers, the default, or a grade for each."),
    ] = None,
    rubric: Annotated[
        str | None, typer.Option("--rubric", metavar="FILE", help="What makes an answer better; default: a plain one.")
    ] = None,
    half: Annotated[
        Literal["edit", "final"] | None,
        typer.Option("--half", help="Of the pairs: to try rubrics on, or for the one that stands; default: all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Does a model judge answers as people do, and what moves it that should not? Exit code 0: it may judge; 2: it must
    not; 4: too little evidence."""
    from whence.cli.check import told
    from whence.verbs import Hosted

    if at and base:
        raise typer.BadParameter("one of --at and --base, or [judge] in whence.toml", param_hint="--at")
    if not (at or base) and (kind or rubric):
        raise typer.BadParameter("goes with --at or --base: [judge] in whence.toml says its own", param_hint="--kind")
    if (at is None) != (model is None) or (key and not at):
        raise typer.BadParameter("--at and --model go together, --key goes with them", param_hint="--at")
    whom = Hosted(url=at, model=str(model), key=key) if at else None
    with here(as_json, create=True, project=False) as w:
        told(w, w.eval.judges(pairs, whom, base, kind=kind, rubric=rubric, half=half), as_json)


@app.command("list", epilog="Example: whence eval list")
def list_(as_json: AsJson = False) -> None:
    """Every evaluation with its interval; slices with --json."""
    from whence.evaluate import by_another_tool
    from whence.records import Base, Prompt, Run, Suite, plain

    rows, values = [], []
    with here(as_json) as w:
        for ref, made in w.eval.list().items():
            suite, prompt = w.store.get(made.suite, Suite), w.store.get(made.prompt, Prompt)
            total = made.results[0] if made.results else None
            shown = f"{total.value:.1%} [{100 * total.low:.1f}, {total.high:.1%}]" if total else "nothing scored"
            run = w.store.get(made.run, Run)
            via = f", {_where(run.inputs['via'])}" if "via" in run.inputs else ""
            who, asked = "base", f"{prompt.template}, {len(prompt.shots)} shots"
            if by_another_tool(run):
                who, asked = f"base {w.store.get(made.base, Base).name}", f"{prompt.template} {prompt.text}".rstrip()
            who = (f"adapter {short(made.adapter)}" if made.adapter else who) + via
            rows.append((short(ref), who, suite.name, shown, total.n if total else 0, made.unscored, asked))
            values.append({"evaluation": ref, **plain(made)})
    head = ("evaluation", "model", "suite", "right", "n", "unscored", "prompt")
    say(values, table(rows, head) if rows else "no evaluation yet: whence eval run", as_json)


def _where(via: str) -> str:
    """How a model was asked: of an endpoint host and port alone."""
    return urlsplit(via).netloc or via


Suite_ = Annotated[str | None, typer.Argument(help="A suite's name; default: the gate's.", show_default=False)]


@app.command(epilog="Example: whence eval items gate")
def items(suite: Suite_ = None, as_json: AsJson = False) -> None:
    """What became of evaluation items, and whether models gained more on those that somebody has seen."""
    from collections import Counter
    from dataclasses import asdict

    from whence.lifecycle.exposure import EXPOSED, STATES

    with here(as_json) as w:
        found = w.eval.items(suite)
    count = Counter(found.states.values())
    text = table([(state, count[state]) for state in STATES if count[state]], ("state", f"items of {found.suite}"))
    if found.meter and found.seen is not None and found.unseen is not None:
        told = found.meter
        text += (
            f"\n\n{short(found.before or '')} → {short(found.after or '')}: {found.seen:+.1%} on items that somebody "
        )
        text += f"has seen, {found.unseen:+.1%} on the others;\n"
        text += f"{told.statistic:+.1%} more [{told.low:+.1%}, {told.high:+.1%}] p {told.p:.2g}"
    if seen := sum(count[state] for state in EXPOSED):
        text += f"\n\nretiring the {seen:,} that somebody has seen takes {_power(found)}"
    say(asdict(found), text, as_json)


def _power(found: Exposure | Retired) -> str:
    """What leaves with items of the power to tell models apart."""
    if found.lost is None:
        return f"a share of the suite's discriminating power that its {found.models} models do not show"
    between = f"[{found.lost.low:+.1%}, {found.lost.high:+.1%}]"
    return f"{found.lost.statistic:.1%} of the suite's discriminating power {between}, over {found.models} models"


@app.command(epilog="Example: whence eval retire --fresh pool.jsonl --write gate-2.jsonl")
def retire(
    fresh: Annotated[Path, typer.Option(metavar="POOL", help="Items that nobody knows, lines like the suite's.")],
    write: Annotated[Path, typer.Option(metavar="NEW", help="The suite's new file; it must not be there yet.")],
    suite: Suite_ = None,
    inspected: Annotated[bool, typer.Option("--inspected", help="Also those that somebody looked at.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a suite's file without the items that rows were made after, each replaced by a fresh one like it."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.eval.retire(suite, fresh=fresh, write=write, inspected=inspected)
    alone = [item for item, other in found.left.items() if other is None]
    lines = [
        f"{len(found.left):,} items leave {found.suite}, {len(found.left) - len(alone):,} fresh ones come; "
        f"{len(alone):,} have none like them in {fresh}",
        f"{len(found.known):,} items of {fresh} are not fresh",
    ]
    if found.file:
        lines.append(f"that takes {_power(found)}, until models were scored on the fresh ones")
        lines.append(
            f"written: {found.file}; do: name it as the path of {found.suite} in whence.toml, then: whence run"
        )
    else:
        lines.append("nothing was written: no item has to leave")
    say(asdict(found), "\n".join(lines), as_json)


@app.command(epilog="Example: whence eval validity outcomes.jsonl")
def validity(
    outcomes: Annotated[
        Path | None,
        typer.Argument(
            help='Outcomes to add, the more the better: {"release": "desk@2", "value": 0.83, "n": 1200} a line; '
            "default: what people said of answers.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Does a better score on the gate mean a better outcome in production? Exit code 0: the two move together; 2: they
    do not; 4: too few releases to say."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.eval.validity(outcomes)
    rows = [
        (one.release, "–" if one.score is None else f"{one.score:.1%}", f"{one.value:+.3f}", one.n or "–")
        for one in found.releases
    ]
    said = found.finding
    text = "no outcome is known: whence eval validity OUTCOMES.jsonl"
    if said:
        shown = table(rows, ("release", f"right of {found.items:,}", "outcome", "answers"))
        text = f"{shown}\n\n{said.verdict}: {said.message}"
    say(asdict(found), text, as_json)
    raise typer.Exit({"pass": 0, "fail": 2}.get(said.verdict if said else "", 4))


@app.command(epilog="Example: whence eval tried gate")
def tried(suite: Suite_ = None, as_json: AsJson = False) -> None:
    """Every model that was ever scored on a suite's items, by whom, and what was released of them."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.eval.tried(suite)
    rows = [
        (
            short(one.evaluation),
            f"adapter {short(one.adapter)}" if one.adapter else f"base {one.name}",
            "nothing scored" if one.value is None else f"{one.value:.1%}",
            one.by,
            f"{one.at:%Y-%m-%d %H:%M}",
            one.released or "",
        )
        for one in found
    ]
    head = ("evaluation", "model", "right", "by", "at", "released as")
    say([asdict(one) for one in found], table(rows, head) if rows else "nothing was scored yet", as_json)


@app.command(epilog="Example: whence eval access looked-at.jsonl")
def access(
    file: Annotated[
        Path | None,
        typer.Argument(
            help='Accesses to add: {"suite", "by", "at", "purpose": "inspect", "items": […]} a line.',
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Who read which evaluation items, when and for what; rows of somebody who had looked are held against these."""
    from dataclasses import asdict

    with here(as_json) as w:
        found = w.eval.access(file)
    rows = [(one.suite, one.purpose, "all" if one.items is None else len(one.items), one.by, f"{one.at:%Y-%m-%d %H:%M}")
            for one in found]  # fmt: skip
    text = table(rows, ("suite", "purpose", "items", "by", "at")) if rows else "nobody is on record as having looked"
    say([asdict(one) for one in found], text, as_json)


@app.command(
    epilog="Example: whence eval harness lm-eval desk --at http://127.0.0.1:8321 --model desk -- --include_path tasks"
)
def harness(
    tool: Annotated[str, typer.Argument(help="lm-eval or inspect.", show_default=False)],
    task: Annotated[str, typer.Argument(help="As the tool takes it: a name, or a file.", show_default=False)],
    at: Annotated[str, typer.Option("--at", metavar="URL", help="An OpenAI-compatible endpoint.")],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="What the endpoint calls it.")],
    more: Annotated[
        list[str] | None, typer.Argument(help="After --: arguments that the tool gets.", show_default=False)
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="VARIABLE", help="Environment variable that holds its key.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="NAME", help="The adapter that answers; default: a base.")
    ] = None,
    metric: Annotated[str | None, typer.Option("--metric", metavar="NAME", help="Which of several.")] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="Whose items these are; a new name makes a suite.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run another tool against an endpoint, and bring in its log; what the tool says goes to stderr."""
    from whence.cli.imports import tell_evidence
    from whence.evaluate.harness import TOOLS

    if tool not in TOOLS:
        raise typer.BadParameter(f"{tool!r} is none of {', '.join(TOOLS)}", param_hint="TOOL")
    with here(as_json, create=True, project=False) as w:
        found = w.eval.harness(
            tool, task, *more or (), at=at, model=model, key=key, adapter=adapter, metric=metric, suite=suite
        )
    tell_evidence(found, as_json)
