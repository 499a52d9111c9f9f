"""Keep one reaction to a trace: its kind in the record, its words apart."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import get_args, get_type_hints

from whence.records import Feedback, NotFound, Ref, Trace, Unmet
from whence.store import Store

INTENTS = get_args(get_type_hints(Feedback)["intent"])
WORD = re.compile(r"[a-z][a-z0-9_.-]{0,31}")
"""Surfaces and actors are kinds, never names or texts: they are stored readable."""
NEEDS_TEXT = ("correction", "comment")


def send(
    store: Store,
    trace_id: str,
    *,
    surface: str,
    actor: str,
    intent: str,
    value: float | None = None,
    text: str | None = None,
    at: datetime | None = None,
) -> Ref:
    """Record a reaction to a served answer; returns the Feedback's digest.

    surface: where it was given (api, cli, …). actor: the kind of giver (user, agent, reviewer, …). intent: rating (with
    `value` from −1 to 1), correction (with `text`, the answer it should have been), comment (with `text`), flag (text
    or none). at: when it was given; None: now. Raises NotFound for an unknown trace, Unmet with every fault.
    """
    faults = faults_of(surface, actor, intent, value, text)
    if faults:
        raise Unmet("this feedback cannot be kept: " + "; ".join(faults))
    try:
        trace, _ = store.latest(Trace, trace_id)
    except NotFound as error:
        do = "check the id, or try again: a gateway records its answers within a second"
        raise NotFound(f"{error}\n  do: {do}") from None
    with store.transaction():
        feedback = Feedback(
            trace=trace_id,
            surface=surface,
            actor=actor,
            intent=intent,
            value=None if value is None else float(value),
            at=at or store.clock(),
            content=store.write_words("feedback", {"text": text}),
        )
        name = store.put(feedback)
        store.append("feedback.recorded", trace, {"feedback": name, "intent": intent})
    return name


def faults_of(surface: str, actor: str, intent: str, value: float | None, text: str | None) -> list[str]:
    """Why such a reaction cannot be kept."""
    faults = [
        f"{what} is no short lower-case word"
        for what, said in (("surface", surface), ("actor", actor))
        if not _kind(said)
    ]
    if intent not in INTENTS:
        return [*faults, f"intent is none of {', '.join(INTENTS)}"]
    if intent == "rating" and (value is None or not math.isfinite(value) or not -1 <= value <= 1):
        faults.append("a rating needs a value from -1 to 1")
    if intent != "rating" and value is not None:
        faults.append(f"a {intent} takes no value")
    if intent in NEEDS_TEXT and not (text or "").strip():
        faults.append(f"a {intent} needs a text")
    return faults


def _kind(said: str) -> bool:
    return WORD.fullmatch(said) is not None
