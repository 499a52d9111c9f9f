"""``model canaries``: does this model still answer as it did, and does this adapter still do anything?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence.lineage import find
from whence.models import Open, Scoring, adapter_digests, bond_of, check_binding, hold, load_base, must_answer
from whence.models.identity import base_tensors
from whence.records import Adapter, Base, Closure, Finding, NotFound, Ref, Release, Unmet
from whence.register import canaries, drift, known, register_base
from whence.register.canaries import Look, Questions, Subject

if TYPE_CHECKING:
    from whence.store import Store
    from whence.verbs.session import Session

ADAPTER = "canary"
"""What the adapter is loaded as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A model that somebody else runs, behind an OpenAI-compatible address."""

    url: str
    """up to and without ``/chat/completions``"""
    model: str
    """what the server calls it"""
    key: str | None = None
    """name of the environment variable that holds the key; None: none is sent"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A look at a model's canaries, beside the one on record."""

    outcome: Literal["pass", "fail", "abstain"]
    """pass: it answers as it did. fail: it does not, or the adapter does nothing. abstain: too little to say, such as
    nothing on record yet"""
    findings: tuple[Finding, ...]
    """model.canaries, and for an adapter model.no_op"""
    against: Ref | None
    """the Canaries on record that it was compared with; None: there were none"""
    kept: Ref | None
    """the Canaries that were recorded now; None: nothing was"""


def compare(
    session: Session,
    whom: str | Hosted | None,
    base: str | Path | None,
    questions: Questions,
    repeats: int,
    renew: bool,
) -> Compared:
    """See `Models.canaries`."""
    store, told = session.store, session.told

    def progress(done: int, total: int) -> None:
        told.progress("canaries", "asking", done, total)

    progress(0, len(questions.texts))
    if isinstance(whom, Hosted):
        exact, subject = True, Subject(name=f"{whom.url.rstrip('/')} {whom.model}")
        seen = canaries.look(_hosted(whom), questions, None, repeats, progress)
    else:
        with _inside(store, whom, base) as (exact, subject, model):
            seen = canaries.look_inside(model, questions, ADAPTER if whom else None)
    before = canaries.kept(store, subject, questions)
    findings = tuple(_findings(subject, before, seen))
    whole = not any(f.check == "model.no_op" and f.verdict == "fail" for f in findings)
    kept = None
    if (before is None or renew) and whole:
        if not exact:
            raise Unmet(
                f"the base is not the one that {subject.name[:19]}… was trained on, and nothing is on record to "
                "compare its answers with",
                "the first look, and one that replaces it, on the base of the training",
                "name that base, or look at `whence verify`",
            )
        kept = canaries.keep(store, subject, seen)
    outcomes = {f.verdict for f in findings}
    outcome: Literal["pass", "fail", "abstain"] = (
        "fail" if "fail" in outcomes else "abstain" if "abstain" in outcomes else "pass"
    )
    if before:
        numbers = {f.check: {"verdict": f.verdict, "statistic": f.statistic, "p": f.p} for f in findings}
        store.append("canaries.compared", before[0], {"outcome": outcome, "findings": numbers})
    return Compared(outcome=outcome, findings=findings, against=before[0] if before else None, kept=kept)


def _findings(subject: Subject, before: tuple[Ref, Look] | None, seen: Look) -> Iterator[Finding]:
    against = (before[0],) if before else ()
    if before is None:
        said = "nothing is on record to compare these answers with; the next look is compared with this one"
        yield Finding(
            check="model.canaries",
            about=subject.name,
            verdict="abstain",
            severity="low",
            message=said,
            n=len(seen.answers),
        )
    else:
        if subject.weights:
            yield drift.exactly(subject.name, before[1].answers, seen.answers, against, subject.tolerance)
        else:
            yield drift.by_sample(subject.name, before[1].answers, seen.answers, against)
    if seen.effect:
        yield drift.no_op(subject.name, seen.effect, before[1].effect if before else None, against)


def _hosted(whom: Hosted) -> Scoring:
    from whence.models.backends.openai_http import OpenAIModel

    return OpenAIModel(whom.url, whom.model, whom.key)


@contextmanager
def _inside(store: Store, name: str | None, base: str | Path | None) -> Iterator[tuple[bool, Subject, Open]]:
    """(whether this is the right base, who is asked, the model): an adapter on its base, or a base alone."""
    from whence.models.backends.transformers_peft import TransformersModel

    if name is None:
        if base is None:
            raise Unmet("nobody is named", "an adapter, a base or a hosted model", "name one; see --help")
        ref = register_base(store, str(base))
        record = store.get(ref, Base)
        with hold(load_base(record.location, record.revision, store.root.parent)) as held:
            tensors = base_tensors(held.path)
            model = TransformersModel(held.path)
            held.check()
            yield True, canaries.inside(f"base:{record.location}", ref, tensors), model
        return
    ref, adapter = _adapter(store, name)
    with hold((store.root / adapter.location).resolve()) as held, hold(_base(store, adapter, base)) as held_base:
        binding = check_binding(held, held_base, bond_of(store, adapter))
        if binding.answer == "incompatible":
            raise Unmet(f"{name} does not fit this base: {binding}", "a base that it fits", "see `whence verify`")
        must_answer(held)
        tensors = base_tensors(held_base.path)
        model = TransformersModel(held_base.path, {ADAPTER: held.path})
        held.check()
        held_base.check()
        right = binding.answer != "same-shape-different-base"
        yield right, canaries.inside(ref, ref, tensors), model


def _adapter(store: Store, name: str) -> tuple[Ref, Adapter]:
    """The adapter that a folder, a name, a release or an alias means. Raises NotFound."""
    if Path(name).is_dir():
        found = known(store, *adapter_digests(Path(name)))
        if found is None:
            raise NotFound(f"{name} is no adapter on record\n  do: whence adopt {name}")
        return found
    ref = Ref(str(find(store, name)))
    record: object = store.get(ref)
    if isinstance(record, Release):
        ref = record.adapter
        record = store.get(ref)
    if not isinstance(record, Adapter):
        raise NotFound(f"{name} is a {type(record).__name__}, expected an adapter or a release of one")
    return ref, record


def _base(store: Store, adapter: Adapter, base: str | Path | None) -> Path:
    if base is not None:
        return load_base(str(base))
    closure = store.get(adapter.closure, Closure)
    if closure.base is None:
        raise Unmet(f"nothing on record says what {adapter.name} was trained on", "a base", "name one with --base")
    record = store.get(closure.base, Base)
    return load_base(record.location, record.revision, store.root.parent)
