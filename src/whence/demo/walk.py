"""The demo: the generated support desk walked from rows to a served answer and back; then one customer asks to be
forgotten, and the model is rebuilt without their rows and proven.

Everything is real but the desk: rows, training, scores, answers over HTTP. A walk that was interrupted goes on; one
that ended is shown again.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from whence import feedback
from whence.demo.generate import INTENTS, generate
from whence.lifecycle.blast import BlastRadius, blast_radius
from whence.lifecycle.case_acts import Acted
from whence.lifecycle.run import Outcome, Told, run
from whence.project import Project, read_lock
from whence.records import Case, Feedback, Json, Ref, Release, Snapshot, Step, Trace, Verdict
from whence.serve import Gateway, Settings
from whence.store import UNIDENTIFIED, Store, identify, verify
from whence.verbs import Session
from whence.verbs import open as whence_open

Say = Callable[[str], None]
QUESTION = "hiya, i think i left my card on the train this morning, can you stop it please"
MEANT = "lost_card"
ACTOR = "demo@bank.example"


@dataclass(slots=True)
class Shown:
    """What the demo found."""

    outcome: str = "fail"
    line: str = ""
    value: dict[str, Any] = field(default_factory=dict)


def walk(folder: Path, told: Told, say: Say) -> Shown:
    """Build the desk in `folder` (or go on where an earlier walk ended) and walk the whole story."""
    shown = Shown()
    truth = _build(folder, told, say)
    actor = identify(dict(os.environ), folder)
    with whence_open(folder, create=True, actor=ACTOR if actor == UNIDENTIFIED else actor, told=told) as w:
        store, project = w.store, w.project
        customer = truth["withdraw"]["customer"]
        person = store.keys.pseudonym(customer)
        if store.all(Case):
            say("\n1. to 3. From rows to a release, served, asked, corrected: up to date\n")
            out, served = _earlier(folder), {"up_to_date": True}
        else:
            say("\n1. From rows to a release\n")
            out = run(project, store, told)
            _compare(store, out, truth, say)
            served = _serve(project, store, out, person, customer, say)
        if out.release:
            say(f"\n4. Customer {customer} asks to be forgotten\n")
            _forget(w, customer, say)
            out = _earlier(folder)
        return _verdict(store, out, served, shown)


def _earlier(folder: Path) -> Outcome:
    """What was resolved last, by the lock file."""
    known, names = read_lock(folder), {one.name for one in fields(Outcome)}
    return Outcome(**{name: value for name, value in known.items() if name in names})


def _build(folder: Path, told: Told, say: Say) -> dict[str, Any]:
    """The generated desk and its base model; both are kept from an earlier walk."""
    from whence.demo.base import cached_base

    truth = folder / "truth.json"
    if not truth.exists():
        folder.mkdir(parents=True, exist_ok=True)
        generate(folder)
    say(f"A bank's support desk in {folder}: everything in it is generated, nobody in it exists.")
    base = cached_base(INTENTS, progress=lambda done, total: told.progress("base", "making a tiny model", done, total))
    if not (folder / "tiny-base").exists():
        shutil.copytree(base, folder / ".tiny-base", dirs_exist_ok=True)
        (folder / ".tiny-base").rename(folder / "tiny-base")
    target = folder / "whence.toml"
    if not target.exists():
        target.write_text(files("whence.demo").joinpath("whence.toml").read_text())
    found: dict[str, Any] = json.loads(truth.read_text())
    return found


def _compare(store: Store, out: Outcome, truth: dict[str, Any], say: Say) -> None:
    """What was planted against what was found."""
    snapshot = store.get(out.snapshot or Ref(""), Snapshot)
    found_by = {reason: n for ref in snapshot.steps for reason, n in store.get(ref, Step).reasons.items()}
    leaked = sum(len(leak["rows"]) for leak in truth["group_leaks"])
    say("\n2. Planted by the generator, and found\n")
    lines = [
        ("rows of customers who are also in a suite", leaked, "subject_in_gate"),
        ("questions that a suite asks too", len(truth["text_leaks"]), "text_in_gate"),
        ("rows that are too long", len(truth["too_long"]), "too_long"),
        ("exact duplicates", len(truth["exact_duplicates"]), "exact_duplicate"),
        ("duplicates but for case and punctuation", len(truth["normalised_duplicates"]), "normalised_duplicate"),
    ]
    for what, planted, reason in lines:
        say(f"   {what:<42} planted {planted:>3}, found {found_by.get(reason, 0):>3}")


def _serve(project: Project, store: Store, out: Outcome, person: str, customer: str, say: Say) -> dict[str, Json]:
    """Serve, ask, react, see what a withdrawal would reach."""
    say("\n3. Served, asked, corrected\n")
    if out.release is None:
        say("   nothing was released, so nothing is served")
        return {}
    if store.count(Feedback):
        say("   up to date: an earlier walk served and asked")
        return {"up_to_date": True}
    from whence.models.backends.transformers_peft import TransformersModel

    part = project.file.serving
    gateway = Gateway(
        store,
        [part.alias or project.file.project.name],
        Settings(port=0, lease_s=part.lease_s, max_tokens=part.max_tokens),
        model_factory=partial(TransformersModel, threads=project.file.recipe.threads),
        feedback=feedback.send,
    )
    with gateway as url:
        answer = _post(f"{url}/v1/chat/completions", _request(part.alias or "", customer))
        said = answer["choices"][0]["message"]["content"]
        say(f"   POST {url}/v1/chat/completions")
        say(f"   asked     {QUESTION!r}")
        say(f"   answered  {said!r} by {answer['model']}, trace {answer['id']}")
        right = said.strip() == MEANT
        reaction = {"intent": "rating", "value": 1.0} if right else {"intent": "correction", "text": MEANT}
        _post(f"{url}/v1/feedback", {"trace": answer["id"], "actor": "agent", **reaction})
        say(f"   feedback  an agent's {reaction['intent']} was kept with the trace ({'right' if right else MEANT})")
        say(f"   if customer {customer} withdrew consent:")
        _show_blast(blast_radius(store, [("subject", person)], what_if=True), say)
    say("   the gateway was stopped: its lease has ended")
    return {"answer": said, "release": answer["model"], "trace": answer["id"], "customer": customer}


def _request(model: str, customer: str) -> dict[str, Json]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "user": customer,
        "metadata": {"consent": "train"},
    }


def _post(url: str, body: Json) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())


def _show_blast(blast: BlastRadius, say: Say) -> None:
    say(f"   reaches   {len(blast.direct)} rows and {len(blast.derived)} made from them")
    for one in blast.adapters:
        say(f"             adapter {one.id[7:19]} ({one.name}): {one.rows} of these rows were fed to it")
    for one in blast.releases:
        say(f"             release {one.name}")
    for served in blast.live:
        say(f"   MUST COME DOWN: {served.endpoint} ({served.state})")


def _forget(w: Session, customer: str, say: Say) -> None:
    """An erasure from its request to its dossier; an interrupted one goes on."""
    found = w.rights.case.list()
    matter = found[0] if found else w.rights.case.open("erasure", subject=customer, reason=f"{customer} wrote a letter")
    name = matter.case.name
    if not matter.closed:
        say(f"   whence rights case open erasure --subject {customer}")
        say(f"   {name}: {len(matter.tasks)} things to do, due {matter.case.due_at:%Y-%m-%d}")
        for task in matter.open:
            action = task.actions[0]
            say(f"   whence rights case act {name} {action} {task.name if task.what != 'content' else ''}".rstrip())
            made = w.rights.case.act(name, action, task.thing, prove=action == "rebuild")
            say(f"   {_done(made)}; proof: {made.proof}")
            for place in made.elsewhere:
                say(f"   not ours to delete: {place}")
        paths = w.rights.case.close(name, w.folder / "dossiers")
        say(f"   whence rights case close {name}: signed, {paths[1]}")
    else:
        say(f"   up to date: {name} was closed on {matter.closed:%Y-%m-%d}; {w.folder / 'dossiers' / name}.html")


def _done(made: Acted) -> str:
    if made.rebuilt:
        plan = made.rebuilt.plan
        share = f"from step {plan.from_step} of {plan.steps} on, {plan.share:.0%} of a training"
        after = "judged and released" if "release" in made.facts else "judged, and not released"
        return f"{share}, {made.rebuilt.outcome}: the bytes of one that never had the rows; {after}"
    facts = made.facts
    return (
        f"{facts.get('rows', 0)} rows and {facts.get('words', 0)} other words are gone"
        if made.action == "erase"
        else ("recorded")
    )


def _verdict(store: Store, out: Outcome, served: dict[str, Json], shown: Shown) -> Shown:
    """One line: pass when the release stands, the record verifies and the answer has its trace."""
    damage = verify(store)
    outcome = store.get(out.verdict, Verdict).outcome if out.verdict else "abstain"
    shown.outcome = "fail" if damage else outcome
    name = store.get(out.release, Release).name if out.release else "nothing released"
    word = {"pass": "PASS", "fail": "FAIL", "abstain": "ABSTAIN"}[shown.outcome]
    seq, _ = store.head()
    shown.line = (
        f"\nverdict   {word}: {name}; {store.committed():,} rows, {store.count(Trace)} trace, {seq} events, "
        + (f"{len(damage)} things damaged" if damage else "the record verifies")
    )
    shown.value = {"outcome": shown.outcome, **out.resolved(), "served": served, "damaged": [f.message for f in damage]}
    return shown
