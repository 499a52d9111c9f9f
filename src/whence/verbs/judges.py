"""``eval judges``: a judge is audited on pairs that people labelled, and what came of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence.evaluate import audit, audited, keep_audit, read_labelled
from whence.evaluate.judges import ASKING, RUBRIC
from whence.models import Model, hold, load_base
from whence.records import Base, Finding, Judge, Unmet
from whence.register import register_base
from whence.verbs.canaries import Hosted, hosted

if TYPE_CHECKING:
    from whence.store import Store
    from whence.verbs.session import Session


def judged(
    session: Session,
    pairs: Path,
    whom: Hosted | None,
    base: str | Path | None,
    kind: Literal["grade", "pair"],
    rubric: Path | None,
) -> list[Finding]:
    """See `Eval.judges`."""
    store, labelled = session.store, read_labelled(pairs)
    with judge_of(store, whom, base, kind, RUBRIC if rubric is None else _rubric(rubric)) as (model, judge):
        found = audit(model, judge, labelled, lambda done, n: session.told.progress("judges", "asking", done, n))
    found += audited(store, judge, labelled)
    keep_audit(store, judge, labelled, found)
    return found


def _rubric(file: Path) -> str:
    expected = "a text file in UTF-8 that says what makes an answer better"
    try:
        text = file.read_bytes().decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise Unmet(f"{file} cannot be read: {error}", expected, "check the file") from error
    if not text:
        raise Unmet(f"{file} is empty", expected, "write it down")
    return text


@contextmanager
def judge_of(
    store: Store, whom: Hosted | None, base: str | Path | None, kind: Literal["grade", "pair"], rubric: str
) -> Iterator[tuple[Model, Judge]]:
    """(the model, what is on record of it as a judge): a hosted one, or a base in this process, of which the likeliest
    first token is read."""
    if (whom is None) == (base is None):
        raise Unmet("no judge is named, or two are", "a hosted model or a base", "name one of them")
    if whom is not None:
        name = f"{whom.url.rstrip('/')} {whom.model}"
        yield (
            hosted(whom),
            Judge(called=whom.model, model=name, kind=kind, rubric=rubric, reads="answer", asking=ASKING),
        )
        return
    from whence.models.backends.transformers_peft import TransformersModel

    made = store.get(register_base(store, str(base)), Base)
    with hold(load_base(made.location, made.revision, store.root.parent)) as held:
        model, weights = TransformersModel(held.path), made.fingerprint.weights
        held.check()
        yield (
            model,
            Judge(called=made.name, model=weights, kind=kind, rubric=rubric, reads="likeliest", asking=ASKING),
        )
