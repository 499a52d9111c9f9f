"""``whence feedback``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, here, say, short, verb

app = verb(no_args_is_help=True, help="Send a reaction to an answer.")


@app.callback()
def feedback() -> None:
    """Send a reaction to an answer."""


@app.command(epilog='Example: whence feedback send chatcmpl-… --intent correction --text "lost_card"')
def send(
    trace: Annotated[str, typer.Argument(help="The answer's id.", show_default=False)],
    intent: Annotated[str, typer.Option("--intent", help="rating, correction, flag or comment.")] = "rating",
    value: Annotated[float | None, typer.Option("--value", min=-1, max=1, help="For a rating: −1 to 1.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Correction or comment; kept apart, erasable.")] = None,
    actor: Annotated[str, typer.Option("--as", help="Who reacts: user, agent, reviewer …")] = "user",
    as_json: AsJson = False,
) -> None:
    """Record a typed reaction to a served answer."""
    from whence.feedback.run import faults_of

    if faults := faults_of("cli", actor, intent, value, text):
        raise typer.BadParameter("; ".join(faults), param_hint="--intent, --value, --text, --as")
    with here(as_json) as w:
        ref = w.feedback.send(trace, surface="cli", actor=actor, intent=intent, value=value, text=text)
    say({"feedback": ref}, f"kept as {short(ref)}", as_json)
