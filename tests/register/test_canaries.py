"""Canaries: what is kept and where; what a later look says of a hosted model; own questions and bad ones."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import whence
from models.hosted import completion, server
from whence.cli import main
from whence.models import Guess, Scored, ScriptedModel
from whence.records import BackendFailed, Canaries, Unmet
from whence.register import canaries, drift
from whence.register.canaries import Questions, Subject
from whence.register.drift import Effect
from whence.store import Store, verify
from whence.verbs import Compared, Hosted


@pytest.fixture
def w(tmp_path: Path, clock) -> Iterator[whence.Session]:
    with closing(whence.open(tmp_path, create=True, project=False, actor="ann@example.org", clock=clock)) as session:
        yield session


def said(text: str, *steps: dict[str, float]) -> Scored:
    return Scored(text=text, steps=tuple(tuple(Guess(text=t, logprob=v) for t, v in s.items()) for s in steps))


# -- one look beside another -------------------------------------------------------------------------------------------

YES = said("Yes.", {"Yes": -0.1, "No": -2.4}, {".": -0.01, "!": -5.0})


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (YES, "pass"),
        (said("Yes.", {"Yes": -0.1004, "No": -2.4}, {".": -0.01, "!": -5.0}), "pass"),
        (said("Yes.", {"Yes": -0.11, "No": -2.3}, {".": -0.01, "!": -5.0}), "fail"),
        (said("No.", {"No": -0.1, "Yes": -2.4}, {".": -0.01, "!": -5.0}), "fail"),
        (said("Oui.", *({g.text: g.logprob for g in s} for s in YES.steps)), "fail"),  # a tokenizer that spells anew
        (said("Yes", *({g.text: g.logprob for g in s} for s in YES.steps[:1])), "fail"),
        (said("Yes.", {"Yes": math.nan, "No": -2.4}, {".": -0.01, "!": -5.0}), "fail"),
        (said("Yes.", {"Yes": -0.1, "Maybe": -2.4}, {".": -0.01, "!": -5.0}), "pass"),  # a tie at the end of the list
        (said("Yes.", {"Yes": -0.1, "Maybe": -1.4}, {".": -0.01, "!": -5.0}), "fail"),
    ],
)
def test_the_same_weights_answer_the_same_and_nothing_else_does(now: Scored, verdict: str) -> None:
    finding = drift.exactly("x", [(YES,)] * 3, [(YES,), (now,), (YES,)])
    assert (finding.verdict, finding.n, finding.threshold) == (verdict, 3, drift.TOLERANCE)


def test_a_tie_that_falls_the_other_way_is_no_change() -> None:
    """Two tokens that are equally likely may change places by rounding; what follows is not comparable."""
    one = said("Yes. It is", {"Yes": -0.69314, "No": -0.69315}, {".": -0.1, "!": -3.0})
    other = said("No.", {"No": -0.69314, "Yes": -0.69315}, {"!": -0.1, ".": -4.0})
    finding = drift.exactly("x", [(one,)], [(other,)])
    assert finding.verdict == "pass"
    assert finding.message.startswith("answers as it did: 1 of 1 answers differ, log-probabilities within 1e-05")


EFFECT = Effect(divergence=0.41, moved=1.0, n=16)


@pytest.mark.parametrize(
    ("now", "then", "verdict", "words"),
    [
        (EFFECT, EFFECT, "pass", "as much as it did: 16 of 16 answers differ from the base's, KL 0.410, 0.410 when"),
        (Effect(divergence=0.0, moved=0.0, n=16), EFFECT, "fail", "almost nothing: 0 of 16 answers differ from the"),
        (Effect(divergence=0.0, moved=0.0, n=16), EFFECT, "fail", "KL 0.000 against 0.410 when it was recorded"),
        (Effect(divergence=0.0, moved=0.0, n=16), None, "fail", "almost nothing: 0 of 16 answers"),
        (Effect(divergence=0.2, moved=0.5, n=16), EFFECT, "fail", "less than half of what it did"),
        (Effect(divergence=0.9, moved=1.0, n=16), EFFECT, "fail", "more than twice what it did"),
        (Effect(divergence=0.22, moved=0.5, n=16), EFFECT, "pass", "as much as it did"),
        (EFFECT, None, "abstain", "how much it was in training nobody recorded"),
        (Effect(divergence=math.nan, moved=1.0, n=16), EFFECT, "fail", "gives no numbers"),
        (Effect(divergence=math.inf, moved=1.0, n=16), None, "fail", "gives no numbers"),
        (Effect(divergence=0.0, moved=1 / 16, n=16), None, "abstain", "1 of 16 answers differ"),
    ],
)
def test_an_adapter_does_as_much_as_it_did_or_is_found(
    now: Effect, then: Effect | None, verdict: str, words: str
) -> None:
    finding = drift.no_op("x", now, then)
    assert finding.verdict == verdict
    assert words in finding.message
    assert finding.severity == "high"


# -- what is kept ------------------------------------------------------------------------------------------------------


def look(text: str, own: bool = False, repeats: int = 1) -> canaries.Look:
    questions = Questions(texts=("who is 471193650127?", "and then?"), own=own)
    return canaries.look(ScriptedModel(lambda _: text), questions, repeats=repeats)


def all_bytes(folder: Path, *left_out: str) -> bytes:
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.parent.name not in left_out)


def test_a_look_comes_back_as_it_was_and_the_newest_counts(store: Store) -> None:
    subject = Subject(name="x", weights="b3:0")
    assert canaries.kept(store, subject, look("a").questions) is None
    canaries.keep(store, subject, look("a"))
    ref = canaries.keep(store, subject, look("b", repeats=2))
    assert canaries.kept(store, subject, look("c").questions) == (ref, look("b", repeats=2))
    assert canaries.kept(store, Subject(name="y"), look("c").questions) is None
    assert canaries.kept(store, subject, canaries.read_questions(None)) is None
    assert not [f for f in verify(store) if f.verdict != "pass"]


def test_own_questions_and_their_answers_lie_in_the_journal_only(store: Store) -> None:
    subject = Subject(name="x", weights="b3:0")
    ref = canaries.keep(store, subject, look("a secret answer", own=True))
    assert canaries.kept(store, subject, look("b", own=True).questions) == (ref, look("a secret answer", own=True))
    assert canaries.kept(store, subject, look("b").questions) is None
    record = store.get(ref, Canaries)
    assert (record.questions, record.answers) == (None, None)
    assert b"471193650127" in all_bytes(store.root)
    for word in (b"471193650127", b"secret answer"):
        assert word not in all_bytes(store.root, "payload", "journal")
    assert not [f for f in verify(store) if f.verdict != "pass"]


@pytest.mark.fault
def test_answers_that_were_lost_are_found_by_verify(store: Store) -> None:
    record = store.get(canaries.keep(store, Subject(name="x", weights="b3:0"), look("a")), Canaries)
    assert record.answers is not None
    next(p for p in (store.root / "blobs").rglob("*") if p.is_file()).unlink()
    assert any(f.verdict == "fail" for f in verify(store))


def test_a_digest_goes_on_naming_the_adapter_alone(store: Store) -> None:
    """Canaries are called after what was asked, and must not be found in its place."""
    name = "sha256:" + "ab" * 32
    canaries.keep(store, Subject(name=name), look("a"))
    assert store.search(name) == []


def test_answers_without_numbers_are_not_kept(store: Store) -> None:
    questions = Questions(texts=("a",), own=False)
    broken = canaries.Look(questions=questions, answers=((said("", {"a": math.nan}),),), effect=None)
    with pytest.raises(Unmet, match="no numbers"):
        canaries.keep(store, Subject(name="x"), broken)
    assert store.all(Canaries) == []


# -- questions of one's own --------------------------------------------------------------------------------------------


def test_a_file_of_questions(tmp_path: Path) -> None:
    file = tmp_path / "asked.txt"
    file.write_bytes("\ufeffWo ist meine Karte?\r\n\r\n  Und dann?  \n".encode())
    assert canaries.read_questions(file) == Questions(texts=("Wo ist meine Karte?", "Und dann?"), own=True)
    assert len(canaries.read_questions(None).texts) == 16


@pytest.mark.parametrize("raw", [b"", b"\n \n\t\n", b"\xff\xfeq\x00", b"caf\xe9\n", b"a\n" * (1 << 20)])
def test_a_file_that_holds_no_questions_is_refused(raw: bytes, tmp_path: Path, w: whence.Session) -> None:
    file = tmp_path / "asked.txt"
    file.write_bytes(raw)
    with pytest.raises(Unmet, match=r"asked\.txt"):
        w.model.canaries(Hosted(url="http://127.0.0.1:9/v1", model="m"), prompts=file)


def test_what_is_no_file_is_refused(tmp_path: Path, w: whence.Session) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / ("x" * 300)):
        with pytest.raises(Unmet):
            w.model.canaries(Hosted(url="http://127.0.0.1:9/v1", model="m"), prompts=path)


# -- hosted models -----------------------------------------------------------------------------------------------------

WORDS = ("the sea is wide and blue", "the sea is deep", "water as far as one sees", "it is salt water")


class Desk:
    """A model that words its answers as it likes; told to, it likes others."""

    def __init__(self, seed: int = 0, logprobs: bool = True) -> None:
        self.random, self.changed, self.logprobs = random.Random(seed), False, logprobs

    def __call__(self, body: Any, _: int) -> tuple[int, bytes]:
        weights = (1, 1, 4, 4) if self.changed else (4, 4, 1, 1)
        text = self.random.choices(WORDS, weights)[0]
        moved = self.random.gauss(0, 0.02) - (0.5 if self.changed else 0)
        first = {text.split()[0]: -0.7 + moved, "a": -2.0 + moved}
        return completion(text, [first] if self.logprobs else None)


def verdict(made: Compared) -> str:
    return made.findings[0].verdict


@pytest.mark.parametrize("logprobs", [True, False])
def test_a_hosted_model_that_varies_passes_and_one_that_changed_is_found(w: whence.Session, logprobs: bool) -> None:
    desk = Desk(logprobs=logprobs)
    with server(desk) as seen:
        whom = Hosted(url=seen.url, model="tiny")
        first = w.model.canaries(whom)
        assert (first.outcome, first.against, len(seen.bodies)) == ("abstain", None, 16 * drift.REPEATS)
        same = w.model.canaries(whom)
        assert (same.outcome, same.against, same.kept) == ("pass", first.kept, None)
        assert ("texts alone" in same.findings[0].message) is not logprobs
        desk.changed = True
        other = w.model.canaries(whom, renew=True)
        assert (other.outcome, other.against) == ("fail", first.kept)
        assert other.findings[0].p is not None
        assert other.findings[0].p <= drift.ALPHA
        assert other.kept is not None
        assert w.model.canaries(whom).outcome == "pass"
        assert w.model.canaries(Hosted(url=seen.url, model="another")).against is None


def test_too_few_answers_abstain_whatever_they_say(w: whence.Session, tmp_path: Path) -> None:
    file = tmp_path / "asked.txt"
    file.write_text("What is the sea?\n")
    desk = Desk()
    with server(desk) as seen:
        whom = Hosted(url=seen.url, model="tiny")
        w.model.canaries(whom, prompts=file, repeats=3)
        desk.changed = True
        few = w.model.canaries(whom, prompts=file, repeats=3)
    assert few.outcome == "abstain"
    assert few.findings[0].threshold is None
    assert "too few for alpha" in few.findings[0].message


@pytest.mark.fault
def test_a_server_that_fails_halfway_leaves_nothing_on_record(w: whence.Session) -> None:
    with (
        server(lambda _, n: completion("fine") if n < 20 else (401, b"key withdrawn")) as seen,
        pytest.raises(BackendFailed, match="key withdrawn"),
    ):
        w.model.canaries(Hosted(url=seen.url, model="tiny"))
    assert w.store.all(Canaries) == []


def test_exit_codes_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk()
    with server(desk) as seen:
        words = ["model", "canaries", "--at", seen.url, "--model", "tiny"]
        assert main([*words, "--json"]) == 4
        kept = json.loads(capsys.readouterr().out)["kept"]
        assert main([*words, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["outcome"], told["against"], told["kept"]) == ("pass", kept, None)
        desk.changed = True
        assert main(words) == 2
        assert "answers otherwise than it did" in capsys.readouterr().out
    assert main(words) == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--at", "http://127.0.0.1:9/v1"],
        ["--model", "tiny"],
        ["x", "--key", "KEY"],
        ["x", "--at", "http://127.0.0.1:9/v1", "--model", "tiny"],
        ["x", "--repeats", "3"],
        ["--at", "http://127.0.0.1:9/v1", "--model", "tiny", "--repeats", "0"],
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["model", "canaries", *words]) == 3
    assert list(tmp_path.iterdir()) == []
