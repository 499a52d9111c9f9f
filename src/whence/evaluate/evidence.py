"""A verdict without a model or a store: all that it rests on, in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from whence.evaluate.gates import outcome, states
from whence.evaluate.rules import Pairing, rules
from whence.evaluate.suites import items_of
from whence.records import Evaluation, Finding, Gate, Item, Ref, Unmet, Verdict, digest, plain, writing
from whence.store import Store

FORM = "whence-evidence/1"
OWN = "gate."
"""What the checks of a gate's own rules begin with: these are computed again, the others carried over."""


def write_evidence(store: Store, verdict: Ref, path: str | Path) -> None:
    """What a verdict rests on, without a word of items or answers: the gate, each item's slices and which of both
    models has it right, what other candidates had, which items left, and what checks found. Raises BackendFailed where
    it cannot be written."""
    given = store.get(verdict, Verdict)
    gate, new, old = (
        store.get(given.gate, Gate),
        *(store.get(ref, Evaluation) for ref in (given.candidate, given.baseline)),
    )
    known = next((event.data for event in store.events("verdict.given", about=verdict)), {})
    others = [store.get(Ref(ref), Evaluation) for ref in known.get("others") or ()]
    text = json.dumps(
        {
            "form": FORM,
            "verdict": verdict,
            "gate": plain(gate),
            "items": [{"id": item.id, "slices": dict(item.slices)} for item in items_of(store, gate.suite)],
            "candidate": {"evaluation": given.candidate, "states": states(store, new)},
            "baseline": {"evaluation": given.baseline, "states": states(store, old)},
            "others": [states(store, one) for one in others],
            "left": store.get_lines(known["set"]) if "set" in known else [],
            "findings": [plain(finding) for finding in given.findings if not finding.check.startswith(OWN)],
        },
        ensure_ascii=False,
        indent=1,
    )
    with writing(path):
        Path(path).write_text(text + "\n", encoding="utf-8")


def judge_evidence(path: str | Path) -> tuple[Verdict, float | None]:
    """The verdict on a file of `write_evidence`, computed again, and the share that the baseline has right. Raises
    Unmet where it is no such file, does not hold together, or comes to another verdict than it says."""
    try:
        said: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if said.get("form") != FORM:
            raise Unmet(f"{path} is of form {said.get('form')!r}", FORM, "write it again: whence ship evidence FILE")
        gate = TypeAdapter(Gate).validate_python({"min_value": None} | _tuples(said["gate"]))
        items = [Item(id=one["id"], input="", expected=None, slices=one["slices"]) for one in said["items"]]
        findings = tuple(TypeAdapter(Finding).validate_python(_tuples(one)) for one in said["findings"])
        pairing = Pairing.of(items, said["candidate"]["states"], said["baseline"]["states"])
        candidate, baseline = (Ref(said[side]["evaluation"]) for side in ("candidate", "baseline"))
        own = rules(
            gate,
            pairing,
            candidate=candidate,
            baseline=baseline,
            others=said["others"],
            left=said.get("left", ()),
        )
    except OSError as error:
        raise Unmet(f"{path} cannot be read: {error.strerror}", "a file of evidence", "name one") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError) as error:
        what = f"{path} is no evidence: {type(error).__name__} {str(error).splitlines()[0][:200]}"
        raise Unmet(what, FORM, "write it again: whence ship evidence FILE") from error
    found = (*own, *findings)
    made = Verdict(outcome=outcome(found), gate=digest(gate), candidate=candidate, baseline=baseline, findings=found)
    if digest(made) != said["verdict"]:
        raise Unmet(
            f"what {path} holds comes to {made.outcome}, but not to the verdict {said['verdict'][:19]}… that it names",
            "the evidence as it was written, and the version of whence that wrote it",
            "write it again: whence ship evidence FILE",
        )
    right = [state == "right" for state in pairing.old.values() if state != "unscored"]
    return made, sum(right) / len(right) if right else None


def _tuples(value: Any) -> Any:
    """Lists as tuples, which is what nouns hold."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {key: _tuples(inner) for key, inner in value.items()} if isinstance(value, dict) else value
