"""``whence eval``."""

from __future__ import annotations

from whence.cli.session import AsJson, here, say, short, table, verb, walked

app = verb(no_args_is_help=True, help="Evaluate base and candidate on the same items.")


@app.command(epilog="Example: whence eval run")
def run(as_json: AsJson = False) -> None:
    """Walk to the evaluation: base with its best prompt, then the gate is fixed, then the candidate."""
    with here(as_json, create=True) as w:
        out = w.eval.run()
    if as_json:
        say(walked(out), "", True)


@app.command("list", epilog="Example: whence eval list")
def list_(as_json: AsJson = False) -> None:
    """Every evaluation with its interval; slices with --json."""
    from whence.records import Prompt, Suite, plain

    rows, values = [], []
    with here(as_json) as w:
        for ref, made in w.eval.list().items():
            suite, prompt = w.store.get(made.suite, Suite), w.store.get(made.prompt, Prompt)
            total = made.results[0] if made.results else None
            shown = f"{total.value:.1%} [{total.low:.1%}, {total.high:.1%}]" if total else "nothing scored"
            who = f"adapter {short(made.adapter)}" if made.adapter else "base"
            rows.append(
                (short(ref), who, suite.name, f"{prompt.template}, {len(prompt.shots)} shots", shown, made.unscored)
            )
            values.append({"evaluation": ref, **plain(made)})
    head = ("evaluation", "model", "suite", "prompt", "right", "unscored")
    say(values, table(rows, head) if rows else "no evaluation yet: whence eval run", as_json)
