"""``whence serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from whence.cli.session import AsJson, here, say, verb

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
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve releases over OpenAI's chat API until SIGTERM; requests that arrive during a batch wait for its end."""
    import os

    from whence.serve.backends.spans import export
    from whence.serve.log import to_stderr

    with here(as_json) as w:
        to_stderr()
        export(os.environ)
        gateway = w.serve(*(release or ()), host=host, port=port)
        gateway.run(lambda url: say({"url": url}, f"serving at {url}/v1; stop with Ctrl-C", as_json))
