"""What a case came to, as one signed document: what was asked for, when, what it reached, what was done, the proofs."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from whence import govern, train
from whence.lifecycle import cases
from whence.lifecycle.lines import room_line
from whence.records import Case, Json, NotFound, Ref, Unmet, encode, sha256, text_time, writing
from whence.store import Store, verify

LIMITS = (
    "Copies of the store, of its key file, or of files from which rows were read are not reached from here.",
    "The digest of a whole file that held a row (of a suite, of what was read) stays; nobody confirms a text by it who "
    "does not have all the rest of that file.",
    "Exactness is of the bytes of one training: a base, a tokenizer, or a choice of settings that saw the rows still "
    "carries what it saw.",
)
"""What the proofs do not say."""


def dossier(store: Store, ref: Ref, case: Case) -> Json:
    """All that is known of a case, as JSON. Words of the request are among it."""
    tasks = cases.tasks(store, ref, case)
    seq, head = store.head()
    return {
        "case": case.name,
        "id": ref,
        "kind": case.kind,
        "about": list(case.about),
        "request": _words(store, case.request, "request"),
        "opened_at": text_time(case.opened_at),
        "due_at": text_time(case.due_at),
        "timeline": list(_timeline(store, ref, case)),
        "affected": [_task(store, one) for one in tasks],
        "open": sum(one.done is None for one in tasks),
        "damage": [finding.message for finding in verify(store)],
        "limits": list(LIMITS),
        "chain": {"events": seq, "head": head},
        "made_at": text_time(store.clock()),
        "made_by": store.actor,
        "whence": version("whence"),
    }


def close(store: Store, ref: Ref, case: Case, folder: Path) -> tuple[Path, Path]:
    """End a case: sign its dossier, write it as JSON and as a page, and say so in the chain; a person does. Returns
    both paths. Raises Unmet while an action is open, or the store is damaged."""
    store.person()
    if cases.closed(store, ref):
        raise Unmet(f"{case.name} is closed already", "an open case", "look at its dossier")
    found = dossier(store, ref, case)
    if found["open"]:
        left = "; ".join(one["name"] for one in found["affected"] if one["done"] is None)
        raise Unmet(
            f"{found['open']} of {len(found['affected'])} are open: {left}", "none", "act on them, or waive them"
        )
    if found["damage"]:
        raise Unmet(f"the store is damaged: {found['damage'][0]}", "one that verifies", "see whence verify")
    data = encode(found)
    by = govern.sign(store, data)
    whole = {"dossier": found, "digest": sha256(data), "key": by.key, "signature": by.signature}
    paths = folder / f"{case.name}.json", folder / f"{case.name}.html"
    with writing(paths[0]):
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        paths[1].write_text(page(whole), encoding="utf-8")
    store.append("case.closed", ref, {"dossier": sha256(data), "key": by.key, "signature": by.signature})
    return paths


def check(file: str | Path) -> str | None:
    """Why a dossier's file is not what was signed, or None. Needs no store."""
    try:
        whole = json.loads(Path(file).read_text(encoding="utf-8"))
        data, by = encode(whole["dossier"]), govern.Signature(key=whole["key"], signature=whole["signature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{file} is no dossier: {error}"
    if sha256(data) != whole["digest"]:
        return "its text was changed after it was signed"
    return None if govern.signed(data, by) else "its signature is not that of its text"


def _words(store: Store, digest: str | None, member: str) -> str | None:
    try:
        return store.words(digest)[member] if digest else None
    except NotFound:
        return "(erased)"


def _timeline(store: Store, ref: Ref, case: Case) -> Iterator[Json]:
    mine = [event for event in store.events() if event.about == ref or event.about in case.about]
    mine += [event for event in store.events("erasure.*") if event.about == ref and event not in mine]
    for event in sorted(mine, key=lambda one: one.seq):
        facts = {k: v for k, v in (event.data or {}).items() if k not in ("set", "table", "renewed")}
        yield {
            "event": event.seq,
            "at": text_time(event.recorded_at),
            "what": event.kind,
            "who": event.actor,
            "about": event.about if event.about != ref else case.name,
            "facts": facts,
        }


def _task(store: Store, one: cases.Task) -> Json:
    return {
        "thing": one.thing,
        "what": one.what,
        "name": one.name,
        "why": one.why,
        "done": one.action,
        "proof": one.proof,
        "rooms": list(_rooms(store, one)),
        "event": one.done.seq if one.done else None,
        "until": one.done.data.get("until") if one.done else None,
        "approximate": [
            {"event": event.seq, "by": event.actor, "method": _words(store, event.payload, "reason")}
            for event in one.noted
        ],
    }


def _rooms(store: Store, one: cases.Task) -> Iterator[str]:
    """Where the trainings of a rebuild happened, as each of them found it."""
    data = one.done.data if one.done and one.action == "rebuild" else {}
    for what, run in (("made", data.get("run")), ("proven", data.get("proven_by"))):
        if run and (found := train.recorded(store, run)):
            yield f"{what}: {room_line(found.report.facts.get('room'))}"


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .3rem; } p { margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top;
padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d5dbe3; }
th { font-weight: 600; color: #4a5568; } small { color: #5a6675; } .line { white-space: nowrap; }
code { font-size: .75rem; color: #5a6675; overflow-wrap: anywhere; }
.exact { color: #17663a; } .none { color: #8a5a00; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } tr { break-inside: avoid; } }
"""


def page(whole: Json) -> str:
    """The dossier as one page that needs nothing else and prints well."""
    found = whole["dossier"]
    esc = html.escape
    done = "".join(
        f"<tr><td>{esc(one['name'])}<br><code>{esc(one['thing'])}</code></td><td>{esc(one['why'])}{_noted(one)}</td>"
        f"<td>{esc(one['done'] or 'open')}{' until ' + esc(one['until'][:10]) if one['until'] else ''}</td>"
        f"<td class={one['proof'] or 'none'}>{esc(one['proof'] or '—')}{_small(one['rooms'])}</td>"
        f"<td>{one['event'] or '—'}</td></tr>"
        for one in found["affected"]
    )
    times = "".join(
        f"<tr><td>{one['event']}</td><td class=line>{esc(one['at'][:16].replace('T', ' '))}</td>"
        f"<td class=line>{esc(one['what'])}</td><td>{esc(one['who'])}</td>"
        f"<td><code>{esc(_said(one['facts']))}</code></td></tr>"
        for one in found["timeline"]
    )
    asked = f"<p>{esc(found['request'])}</p>" if found["request"] else "<p><small>No words were kept.</small></p>"
    limits = "".join(f"<p><small>{esc(one)}</small></p>" for one in found["limits"])
    opened, due, made = (_day(found[name]) for name in ("opened_at", "due_at", "made_at"))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{meta}<title>{esc(found['case'])}</title><style>{STYLE}</style>"
    return f"""<!doctype html><html lang="en"><head>{head}</head><body>
<h1>{esc(found["case"])}</h1>
<p>{esc(", ".join(found["about"]))}</p>
<p>opened {opened}, due {due}, closed {made} by {esc(found["made_by"])}</p>
<h2>What was asked for</h2>{asked}
<h2>What it reached, and what was done</h2>
<table><tr><th>what</th><th>how it was reached</th><th>done</th><th>proof</th><th>event</th></tr>{done}</table>
<p><small>exact: nothing is left, to the byte; recorded: a person says so; none: it stays, for a reason.</small></p>
<h2>Timeline</h2>
<table><tr><th>event</th><th>at (UTC)</th><th>what</th><th>who</th><th>facts</th></tr>{times}</table>
<h2>What the proofs do not say</h2>{limits}
<h2>Signature</h2>
<p>chain: {found["chain"]["events"]:,} events, head <code>{esc(found["chain"]["head"])}</code></p>
<p>digest of this dossier <code>{esc(whole["digest"])}</code></p>
<p>Ed25519 key <code>{esc(whole["key"])}</code></p><p>signature <code>{esc(whole["signature"])}</code></p>
<p><small>What was signed is the same as JSON: whence rights case check {esc(found["case"])}.json</small></p>
</body></html>
"""


def _small(lines: list[str]) -> str:
    return "".join(f"<br><small>{html.escape(line)}</small>" for line in lines)


def _noted(one: Json) -> str:
    """Methods that are no proof."""
    said = (f"{note['method']} (event {note['event']}, {note['by']})" for note in one["approximate"])
    return "".join(f"<br><small>approximate, never exact: {html.escape(text)}</small>" for text in said)


def _said(facts: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _day(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
