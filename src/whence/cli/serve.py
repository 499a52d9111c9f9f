"""``whence serve``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from whence.cli.session import AsJson, here, say, short, verb, wrapped


class _GatewayFirst(TyperGroup):
    """``whence serve RELEASE…`` is ``whence serve gateway RELEASE…``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args and args[0] in (*self.commands, "--help") else ["gateway", *args])


app = verb(cls=_GatewayFirst)
At = Annotated[str, typer.Option("--at", metavar="URL", help="The server; its key is WHENCE_VLLM_TOKEN.")]


@app.callback()
def serve() -> None:
    """The gateway, and releases in a vLLM server. `whence serve RELEASE` is `whence serve gateway RELEASE`."""


@app.command(
    epilog='Example: whence serve, then: curl localhost:8321/v1/chat/completions -H "content-type: application/json" '
    '-d \'{"model": "support", "messages": [{"role": "user", "content": "Where is my card?"}]}\''
)
def gateway(
    release: Annotated[
        list[str] | None, typer.Argument(help="Releases or aliases; default: every alias.", show_default=False)
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Other than loopback needs WHENCE_TOKEN.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve releases over OpenAI's chat API until SIGTERM; requests that arrive during a batch wait for its end.

    The word `gateway` may be left out.
    """
    import os

    from whence.serve.backends.spans import export
    from whence.serve.log import to_stderr

    with here(as_json) as w:
        to_stderr()
        export(os.environ)
        made = w.serve(*(release or ()), host=host, port=port)
        made.run(lambda url: say({"url": url}, f"serving at {url}/v1; stop with Ctrl-C", as_json))


@app.command(epilog="Example: whence serve load bank-support@2 --at http://gpu1:8000 --base ./llama")
def load(
    release: Annotated[str, typer.Argument(help="A release, or an alias of one.", show_default=False)],
    at: At,
    base: Annotated[
        str | None, typer.Option("--base", help="Folder here of what the server's base path means there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a release into a vLLM server, if adapter and base are those on record, and look at it afterwards."""
    with here(as_json) as w:
        made = w.serve.load(release, at, base=base)
    lines = [f"{made.name} is loaded at {made.endpoint} (deployment {short(made.deployment)})"]
    lines.append(wrapped(f"checked before and after: {made.path}, on {made.base}; the server calls it {made.root}", 2))
    lines += [wrapped(f"not known: {one}", 2) for one in made.unknown]
    say(asdict(made), "\n".join(lines), as_json)


@app.command(epilog="Example: whence serve unload bank-support@2 --at http://gpu1:8000")
def unload(
    release: Annotated[str, typer.Argument(help="A release, or an alias of one.", show_default=False)],
    at: At,
    gone: Annotated[bool, typer.Option("--gone", help="Do not ask the server: it will not come back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a release out of a vLLM server, and record that it ended there. With --gone: of any server."""
    with here(as_json) as w:
        ended = w.serve.unload(release, at, gone=gone)
    say({"release": release, "ended": ended}, f"{release} is out of {at}; deployments ended: {len(ended)}", as_json)
