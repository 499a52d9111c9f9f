"""``whence verify``."""

from __future__ import annotations

import typer

from whence.cli.session import AsJson, here, say, verb

app = verb()


@app.command(epilog="Example: whence verify")
def verify(as_json: AsJson = False) -> None:
    """Re-derive rows, records, events, blobs and words; exit code 2 names what is damaged."""
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
    raise typer.Exit(2 if found else 0)
