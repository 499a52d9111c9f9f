"""``eval judges``: a judge is audited on pairs that people labelled, and what came of it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence.evaluate import audit, audited, keep_audit, read_labelled
from whence.evaluate.audit import Half
from whence.evaluate.audit import half as half_of
from whence.evaluate.judges import Judging
from whence.records import Finding, Unmet
from whence.verbs.canaries import Hosted

if TYPE_CHECKING:
    from whence.verbs.session import Session


def judged(
    session: Session,
    pairs: Path,
    whom: Hosted | None,
    base: str | Path | None,
    kind: Literal["grade", "pair"] | None,
    rubric: str | Path | None,
    half: Half | None,
) -> list[Finding]:
    """See `Eval.judges`."""
    store, labelled = session.store, read_labelled(pairs)
    labelled = half_of(labelled, half) if half else labelled
    judging = _judging(session, whom, base, kind, rubric)
    found = audit(judging, labelled, lambda done, n: session.told.progress("judges", "asking", done, n))
    found += audited(store, judging.judge, labelled)
    keep_audit(store, judging.judge, labelled, found)
    return found


def _judging(
    session: Session,
    whom: Hosted | None,
    base: str | Path | None,
    kind: Literal["grade", "pair"] | None,
    rubric: str | Path | None,
) -> Judging:
    from whence.lifecycle.judging import base_judge, hosted_judge, project_judge

    if whom is not None and base is None:
        return hosted_judge(whom.url, whom.model, whom.key, kind or "pair", rubric)
    if base is not None and whom is None:
        return base_judge(session.store, str(base), kind or "pair", rubric)
    named = None if whom or kind or rubric else project_judge(session.project, session.store)
    if named is None:
        expected = "a hosted model, a base, or [judge] in whence.toml and nothing besides"
        raise Unmet("no judge is named, or two are", expected, "name one")
    return named
