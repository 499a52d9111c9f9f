"""``whence serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, open_project, open_store, say, verb

app = verb()


@app.command(
    epilog='Example: whence serve, then: curl localhost:8321/v1/chat/completions -H "content-type: application/json" '
    '-d \'{"model": "support", "messages": [{"role": "user", "content": "Where is my card?"}]}\''
)
def serve(
    release: Annotated[
        list[str] | None, typer.Argument(help="Releases or aliases; default: every alias.", show_default=False)
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Other than loopback needs WHENCE_TOKEN.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="0 takes a free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve releases over OpenAI's chat API until SIGTERM; requests that arrive during a batch wait for its end."""
    from functools import partial

    from whence import feedback
    from whence.models.backends.transformers_peft import TransformersModel
    from whence.serve import Settings
    from whence.serve import serve as run

    project = open_project()
    part = project.file.serving
    settings = Settings(
        host=host or part.host,
        port=part.port if port is None else port,
        consent=part.consent,
        lease_s=part.lease_s,
        max_tokens=part.max_tokens,
    )

    def ready(url: str) -> None:
        say({"url": url}, f"serving at {url}/v1; stop with Ctrl-C", as_json)

    run(
        open_store(project),
        release or (),
        settings,
        model_factory=partial(TransformersModel, threads=project.file.recipe.threads),
        feedback=feedback.send,
        on_ready=ready,
    )
