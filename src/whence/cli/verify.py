"""``whence verify``."""

from __future__ import annotations

from pathlib import Path

import typer

from whence.cli.session import AsJson, Teller, open_store, say, verb

app = verb()


@app.command(epilog="Example: whence verify")
def verify(as_json: AsJson = False) -> None:
    """Re-derive rows, records, events, blobs and words; exit code 2 names what is damaged."""
    from whence.project import locked_head
    from whence.records import RunReport, plain
    from whence.store import verify as check

    store = open_store()
    teller = Teller(quiet=as_json)
    try:
        found = check(store, locked_head(Path.cwd()), lambda part, n, total: teller.progress("verify", part, n, total))
    finally:
        teller.close()
    rows, events = store.committed() if not found else 0, store.head()[0]
    value = {"damaged": [plain(f) for f in found], "events": events, "rows": rows}
    if found:
        text = "\n".join(f"DAMAGED  {f.check:<16} {f.message}" for f in found)
        text += f"\n{len(found)} thing(s) damaged"
    else:
        text = f"the record verifies: {rows:,} rows, {events:,} events, {store.count(RunReport)} runs"
    say(value, text, as_json)
    raise typer.Exit(2 if found else 0)
