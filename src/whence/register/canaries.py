"""Canaries: fixed questions to a model, its answers kept, and the same questions again on any later day.

The questions that come with whence are neutral and lie with the answers in a blob; a person's own are words, and lie
in the journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from whence.models import Guess, Open, Request, Scored, Scoring
from whence.models.tensors import Tensor, combined
from whence.records import Adapter, Canaries, Finding, Json, Ref, Unmet, sha256
from whence.register.drift import COARSE, TOLERANCE, Effect, no_op
from whence.store import Store

TOKENS = 8
"""Of an answer. The first differ as soon as any do, and each costs a forward pass."""
TOP = 5
"""Likeliest tokens told at each; hosted models tell that many."""

MOST_BYTES = 256 << 10
"""Of a file of questions: some thousands, more than anybody waits for."""

Progress = Callable[[int, int], None]
"""``progress(done, total)`` in answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom the questions are put to."""

    name: str
    """what it is known by, whatever became of it since"""
    about: Ref | None = None
    """the Adapter, or the Base asked alone; None: hosted"""
    weights: str | None = None
    """``b3:`` of the base that answers; None: hosted, and the answers vary by themselves"""
    tolerance: float = TOLERANCE
    """how far log-probabilities may move, nats, where it is not hosted"""


def inside(name: str, about: Ref, base: Mapping[str, Tensor]) -> Subject:
    """Whom we ask in this process: an adapter on a base of these tensors, or the base alone."""
    whole = all(tensor.dtype in ("F32", "F64") for tensor in base.values())
    return Subject(name=name, about=about, weights=combined(base), tolerance=TOLERANCE if whole else COARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked."""

    texts: tuple[str, ...]
    own: bool
    """whether they are a person's own, and so words"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a model answered at one time."""

    questions: Questions
    answers: tuple[tuple[Scored, ...], ...]
    """for each question, as often as it was asked"""
    effect: Effect | None
    """of the adapter on its base; None: there is none, or it cannot be had"""


def read_questions(file: Path | None) -> Questions:
    """The questions of a text file, one a line; those that come with whence without one. Raises Unmet."""
    expected = "a text file in UTF-8, one question a line"
    if file is None:
        text = (files("whence.register") / "canaries.txt").read_text(encoding="utf-8")
    else:
        try:
            if not file.is_file() or file.stat().st_size > MOST_BYTES:
                raise OSError(f"no file of at most {MOST_BYTES >> 10} KiB")
            text = file.read_bytes().decode("utf-8-sig")
        except (OSError, ValueError) as error:
            raise Unmet(f"{file} cannot be read: {error}", expected, "check the file") from error
    texts = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not texts:
        raise Unmet(f"{file} holds no question", expected, "write some")
    return Questions(texts=texts, own=file is not None)


def look(
    model: Scoring,
    questions: Questions,
    adapter: str | None = None,
    repeats: int = 1,
    on_progress: Progress = lambda *_: None,
) -> Look:
    """Ask, greedily. adapter: the name under which the model loaded one. Raises BackendFailed, Unmet."""
    rounds, n = [], len(questions.texts)
    for i in range(repeats):
        on_progress(i * n, repeats * n)
        rounds.append(model.logprobs(_requests(questions, adapter), TOP))
    answers = tuple(zip(*rounds, strict=True))
    return Look(questions=questions, answers=answers, effect=None)


def look_inside(model: Open, questions: Questions, adapter: str | None) -> Look:
    """`look` at a model in this process, once, with the adapter's effect where there is one."""
    with_it = look(model, questions, adapter)
    if adapter is None:
        return with_it
    without = look(model, questions)
    n = len(questions.texts)
    first = model.distributions(_requests(questions, adapter) + _requests(questions, None)).astype(np.float64)
    put = np.exp(first[:n])
    divergence = np.sum(put * np.where(put == 0, 0, first[:n] - first[n:]), axis=1)
    moved = sum(a[0].text != b[0].text for a, b in zip(with_it.answers, without.answers, strict=True))
    effect = Effect(divergence=float(divergence.mean()), moved=moved / n, n=n)
    return Look(questions=questions, answers=with_it.answers, effect=effect)


def _requests(questions: Questions, adapter: str | None) -> list[Request]:
    return [
        Request(messages=[{"role": "user", "content": text}], adapter=adapter, max_tokens=TOKENS)
        for text in questions.texts
    ]


def keep(store: Store, subject: Subject, seen: Look) -> Ref:
    """Record a look, which later ones are compared with. Raises Unmet for one that holds no numbers."""
    effect, own = seen.effect, seen.questions.own
    if not all(math.isfinite(value) for value in _numbers(seen)):
        raise Unmet("the model gives no numbers (NaN or infinite)", "probabilities", "look at its weights")
    lines = [
        {"question": text, "answers": [_plain(answer) for answer in given]}
        for text, given in zip(seen.questions.texts, seen.answers, strict=True)
    ]
    made = Canaries(
        name=_name(subject.name),
        about=subject.about,
        at=store.clock(),
        weights=subject.weights,
        repeats=len(seen.answers[0]),
        questions=None if own else _digest(seen.questions),
        answers=None if own else store.put_lines(lines),
        words=store.write_words("payload", lines) if own else None,
        effect=effect.divergence if effect else None,
        moved=effect.moved if effect else None,
    )
    with store.transaction():
        ref = store.put(made)
        store.append("canaries.kept", ref)
    return ref


def kept(store: Store, subject: Subject, questions: Questions) -> tuple[Ref, Look] | None:
    """The newest look on record at this model with these questions."""
    digest = None if questions.own else _digest(questions)
    for ref, made in reversed(store.all(Canaries, _name(subject.name))):
        if made.questions != digest:
            continue
        lines = store.get_lines(made.answers) if made.answers else store.words(str(made.words))
        if [line["question"] for line in lines] != list(questions.texts):
            continue
        answers = tuple(tuple(_read(answer) for answer in line["answers"]) for line in lines)
        return ref, Look(questions=questions, answers=answers, effect=_effect(made, len(lines)))
    return None


def recorded_no_op(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``model.no_op``: an adapter whose canaries are on record must have changed something when they were."""
    if isinstance(store.get(thing), Adapter):
        for _, made in store.all(Canaries, _name(thing))[-1:]:
            n = len(store.get_lines(made.answers) if made.answers else store.words(str(made.words)))
            if effect := _effect(made, n):
                found = no_op(thing, effect, effect)
                does = replace(found, message=f"the adapter does something: {effect}")
                yield does if found.verdict == "pass" else found


def _name(subject: str) -> str:
    """Not the subject's own: a digest shall go on naming one record."""
    return f"canaries:{subject}"


def _effect(made: Canaries, n: int) -> Effect | None:
    if made.effect is None or made.moved is None:
        return None
    return Effect(divergence=made.effect, moved=made.moved, n=n)


def _numbers(seen: Look) -> Iterable[float]:
    if seen.effect:
        yield seen.effect.divergence
    yield from (guess.logprob for given in seen.answers for one in given for step in one.steps for guess in step)


def _digest(questions: Questions) -> str:
    return sha256("\n".join(questions.texts).encode())


def _plain(answer: Scored) -> Json:
    steps = [[[g.text, g.id, round(g.logprob, 6)] for g in step] for step in answer.steps]
    return {"text": answer.text, "steps": steps}


def _read(line: Json) -> Scored:
    steps = tuple(tuple(Guess(text=t, id=i, logprob=p) for t, i, p in step) for step in line["steps"])
    return Scored(text=line["text"], steps=steps)
