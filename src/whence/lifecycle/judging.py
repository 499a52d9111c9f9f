"""Judges at work: hosted, or a base in this process; by name, or as the project file names one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from whence.evaluate.judges import ASKING, RUBRIC, Judging
from whence.models import OnText, Reply, Request, Scored, Scoring, hold, load_base
from whence.project import Project
from whence.records import Base, Judge, Ref, Unmet
from whence.register import register_base
from whence.store import Store

Kind = Literal["grade", "pair"]


def hosted_judge(url: str, model: str, key: str | None, kind: Kind, rubric: str | Path | None) -> Judging:
    """A judge behind an OpenAI-compatible address, which is read by what it says. key: name of an environment
    variable. rubric: a file; None: a plain one. Raises Unmet."""
    from whence.models.backends.openai_http import OpenAIModel

    name, text = f"{url.rstrip('/')} {model}", read_rubric(rubric)
    judge = Judge(called=model, model=name, kind=kind, rubric=text, reads="answer", asking=ASKING)
    return Judging(model=OpenAIModel(url, model, key), judge=judge)


def base_judge(store: Store, base: str, kind: Kind, rubric: str | Path | None, folder: Path | None = None) -> Judging:
    """A base in this process, of which the likeliest answer is read. base: a folder, or a hub id. Raises Unmet,
    BackendFailed."""
    text, ref = read_rubric(rubric), register_base(store, base, folder=folder)
    made = store.get(ref, Base)
    weights = made.fingerprint.weights
    judge = Judge(called=made.name, model=weights, kind=kind, rubric=text, reads="likeliest", asking=ASKING)
    return Judging(model=_LazyBase(store, ref), judge=judge)


def project_judge(project: Project, store: Store) -> Judging | None:
    """The judge that whence.toml names. Raises Unmet, BackendFailed."""
    part = project.file.judge
    if part is None:
        return None
    rubric = project.folder / part.rubric if part.rubric else None
    if part.at is not None:
        return hosted_judge(part.at, str(part.model), part.key, part.kind, rubric)
    return base_judge(store, str(part.base), part.kind, rubric, project.folder)


def read_rubric(file: str | Path | None) -> str:
    """What a file says makes an answer better. Raises Unmet."""
    if file is None:
        return RUBRIC
    expected = "a text file in UTF-8 that says what makes an answer better"
    try:
        text = Path(file).read_bytes().decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise Unmet(f"{file} cannot be read: {error}", expected, "check the file") from error
    if not text:
        raise Unmet(f"{file} is empty", expected, "write it down")
    return text


class _LazyBase:
    """A base alone, behind the model port. Nothing is loaded while every opinion is known already."""

    def __init__(self, store: Store, base: Ref) -> None:
        self._store, self._base = store, base
        self._model: Scoring | None = None
        self._files = ExitStack()

    def generate(self, requests: Sequence[Request], on_text: OnText | None = None) -> list[Reply]:
        """See the port."""
        return self._loaded().generate(requests, on_text)

    def logprobs(self, requests: Sequence[Request], top: int) -> list[Scored]:
        """See the port."""
        return self._loaded().logprobs(requests, top)

    def _loaded(self) -> Scoring:
        if self._model is None:
            from whence.models.backends.transformers_peft import TransformersModel

            base = self._store.get(self._base, Base)
            with ExitStack() as files:
                held = files.enter_context(hold(load_base(base.location, base.revision, self._store.root.parent)))
                self._model = TransformersModel(held.path)
                held.check()
                self._files = files.pop_all()  # weights are read from the files when they are first used
        return self._model
