"""``whence verify``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from whence.cli.session import AsJson, here, say, verb, wrapped

if TYPE_CHECKING:
    from whence.verbs import Checked

app = verb()
CODES = {"exact": 0, "unknown": 4}


@app.command(epilog="Example: whence verify ./support-lora --base ./llama")
def verify(
    adapter: Annotated[
        str | None,
        typer.Argument(help="A PEFT folder, or an adapter or release on record; none: the record.", show_default=False),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Folder or hub id to hold it against; default: the one on record.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Does this adapter belong on this base? Without one: re-derive the record and name what is damaged.

    For an adapter: exact (exit code 0), same-shape-different-base or incompatible (2), unknown where nothing says
    which base it was trained on, or it is not on this machine (4). For the record: 2 where anything is damaged.
    """
    if adapter is None:
        if base is not None:
            raise typer.BadParameter("an adapter must be named too", param_hint="--base")
        raise typer.Exit(_record(as_json))
    found = _checked(adapter, base)
    binding = found.binding
    value = {"adapter": str(found.adapter), "base": found.base and str(found.base), "by": found.by, **asdict(binding)}
    lines = [f"{binding.answer}: {binding.bound} of {binding.tensors} tensors bound; told by {found.by}"]
    lines += [wrapped(f"- {reason.says}", 2) for reason in binding.reasons]
    say(value, "\n".join(lines), as_json)
    raise typer.Exit(CODES.get(binding.answer, 2))


def _checked(adapter: str, base: str | None) -> Checked:
    import whence
    from whence.verbs.binding import binding

    try:
        session = whence.open()
    except whence.NotFound:
        return binding(adapter, base)
    with session as w:
        return w.verify(adapter, base)


def _record(as_json: bool) -> int:
    from whence.records import RunReport, plain

    with here(as_json) as w:
        found = w.verify()
        rows, events = w.store.committed() if not found else 0, w.store.head()[0]
        runs = w.store.count(RunReport)
    value = {"damaged": [plain(f) for f in found], "events": events, "rows": rows}
    if found:
        text = "\n".join(f"DAMAGED  {f.check:<16} {f.message}" for f in found)
        text += f"\n{len(found)} thing(s) damaged"
    else:
        text = f"the record verifies: {rows:,} rows, {events:,} events, {runs} runs"
    say(value, text, as_json)
    return 2 if found else 0
