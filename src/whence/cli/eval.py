"""``whence eval``."""

from __future__ import annotations

from whence.cli.session import AsJson, Teller, open_project, open_store, say, short, table, verb

app = verb(no_args_is_help=True, help="Evaluate base and candidate on the same items.")


@app.command(epilog="Example: whence eval run")
def run(as_json: AsJson = False) -> None:
    """Walk to the evaluation: base with its best prompt, then the gate is fixed, then the candidate."""
    from whence.lifecycle.run import run as walk

    project = open_project()
    teller = Teller(quiet=as_json)
    try:
        out = walk(project, open_store(project, create=True), teller, "evaluate")
    finally:
        teller.close()
    if as_json:
        say({"stages": teller.stages, **out.resolved()}, "", True)


@app.command("list", epilog="Example: whence eval list")
def list_(as_json: AsJson = False) -> None:
    """Every evaluation with its interval; slices with --json."""
    from whence.records import Evaluation, Prompt, Suite, plain

    store = open_store()
    rows, values = [], []
    for ref, made in store.all(Evaluation):
        suite, prompt = store.get(made.suite, Suite), store.get(made.prompt, Prompt)
        total = made.results[0] if made.results else None
        shown = f"{total.value:.1%} [{total.low:.1%}, {total.high:.1%}]" if total else "nothing scored"
        who = f"adapter {short(made.adapter)}" if made.adapter else "base"
        rows.append(
            (short(ref), who, suite.name, f"{prompt.template}, {len(prompt.shots)} shots", shown, made.unscored)
        )
        values.append({"evaluation": ref, **plain(made)})
    head = ("evaluation", "model", "suite", "prompt", "right", "unscored")
    say(values, table(rows, head) if rows else "no evaluation yet: whence eval run", as_json)
