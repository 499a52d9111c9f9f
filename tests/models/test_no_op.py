"""The silent no-op check and the exact comparison on the real tiny model: what digests cannot know is found."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import whence
from faults.adapters.ways import (
    Scene,
    alpha_scaled,
    base_with_other_weights,
    factors_not_numbers,
    factors_of_zero,
    one_value_of_the_base_moved,
    weights_of_another_adapter,
)
from models.makers import make_adapter
from serve.shelf import shelve
from whence.models import Request
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Canaries, Finding, Release, Unmet
from whence.register import canaries, drift
from whence.register.canaries import Look, Subject, recorded_no_op

pytestmark = pytest.mark.tiny


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("trained")
    return Scene(make_adapter(tiny_base, folder / "one", 1), tiny_base, make_adapter(tiny_base, folder / "two", 2))


@pytest.fixture(scope="module")
def then(trained: Scene) -> Look:
    return look(trained)


@pytest.fixture
def scene(trained: Scene, tmp_path: Path) -> Scene:
    return Scene(*(Path(shutil.copytree(f, tmp_path / f.name)) for f in (trained.adapter, trained.base, trained.other)))


def look(scene: Scene) -> Look:
    model = TransformersModel(scene.base, {"canary": scene.adapter})
    return canaries.look_inside(model, canaries.read_questions(None), "canary")


def no_op(now: Look, then: Look | None) -> Finding:
    assert now.effect
    return drift.no_op("adapter", now.effect, then.effect if then else None)


def keys_elsewhere(scene: Scene) -> None:
    """Every key names a layer that the base has not; plain PEFT loads that with a warning at most."""
    scene.tensors("adapter", lambda ts: {n.replace("layers.", "layers.9"): t for n, t in ts.items()})


# -- the adapter does nothing ------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("known", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("way", [factors_of_zero, keys_elsewhere], ids=lambda way: way.__name__)
def test_an_adapter_that_does_nothing_is_found(scene: Scene, then: Look, way, known: bool) -> None:
    way(scene)
    finding = no_op(look(scene), then if known else None)
    assert (finding.verdict, finding.statistic, finding.n) == ("fail", 0.0, 16)
    assert "almost nothing: 0 of 16 answers differ from the base's, KL 0.000" in finding.message
    assert ("when it was recorded" in finding.message) is known


@pytest.mark.fault
@pytest.mark.parametrize("known", [True, False], ids=["recorded", "not recorded"])
def test_factors_that_are_no_numbers_are_found(scene: Scene, then: Look, known: bool) -> None:
    factors_not_numbers(scene)
    now = look(scene)
    assert "gives no numbers" in no_op(now, then if known else None).message
    finding = drift.exactly("adapter", then.answers, now.answers)
    assert (finding.verdict, finding.statistic) == ("fail", None)


@pytest.mark.parametrize("seed", range(3, 7))
def test_honest_adapters_are_none(tiny_base: Path, tmp_path: Path, seed: int) -> None:
    for scale in (0.5, 0.1, 0.02):
        made = Scene(make_adapter(tiny_base, tmp_path / f"{scale}", seed, scale), tiny_base, tmp_path)
        first, second = look(made), look(made)
        assert no_op(second, first).verdict == "pass"
        assert no_op(first, None).verdict == "abstain"
        assert drift.exactly("adapter", first.answers, second.answers).statistic == 0


@pytest.mark.fault
@pytest.mark.parametrize("way", [factors_of_zero, factors_not_numbers], ids=lambda way: way.__name__)
def test_through_the_verb_nothing_is_kept_of_it(scene: Scene, tmp_path: Path, clock, way) -> None:
    """Adopted as it is now, every digest agrees; the look finds it and does not become what later ones go by."""
    way(scene)
    with opened(tmp_path, clock) as w:
        ref = w.adopt.adapter(scene.adapter, base=str(scene.base)).adapter
        made = w.model.canaries(ref)
        assert (made.outcome, made.kept) == ("fail", None)
        assert [f.verdict for f in made.findings if f.check == "model.no_op"] == ["fail"]
        assert w.store.all(Canaries) == []


def opened(folder: Path, clock) -> closing[whence.Session]:
    return closing(whence.open(folder, create=True, project=False, actor="ann@example.org", clock=clock))


def test_the_check_that_judges_reads_the_record(scene: Scene, then: Look, store) -> None:
    """``model.no_op`` among the installed checks: silent where nothing was kept, fail for an idle adapter."""
    ref = store.get(shelve(store, scene.base, {"one@1": scene.adapter})["one@1"], Release).adapter
    subject = Subject(name=ref, about=ref, weights="b3:0")
    assert list(recorded_no_op(store, ref)) == []
    canaries.keep(store, subject, then)
    assert [f.verdict for f in recorded_no_op(store, ref)] == ["pass"]
    factors_of_zero(scene)
    canaries.keep(store, subject, look(scene))
    assert [(f.check, f.verdict, f.severity) for f in recorded_no_op(store, ref)] == [("model.no_op", "fail", "high")]


# -- it answers otherwise ----------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize(
    "way",
    [base_with_other_weights, one_value_of_the_base_moved, weights_of_another_adapter, alpha_scaled],
    ids=lambda way: way.__name__,
)
def test_another_base_or_adapter_answers_otherwise(scene: Scene, then: Look, way) -> None:
    way(scene)
    finding = drift.exactly("adapter", then.answers, look(scene).answers)
    assert finding.verdict == "fail"
    assert finding.statistic is not None
    assert finding.statistic > 10 * drift.TOLERANCE


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_move_less_than_the_tolerance(trained: Scene, then: Look, threads: int) -> None:
    import torch

    before = torch.get_num_threads()
    try:
        model = TransformersModel(trained.base, {"canary": trained.adapter}, threads=threads)
        now = canaries.look_inside(model, canaries.read_questions(None), "canary")
    finally:
        torch.set_num_threads(before)
    finding = drift.exactly("adapter", then.answers, now.answers)
    assert finding.statistic is not None
    assert finding.statistic < drift.TOLERANCE / 10


# -- the port ----------------------------------------------------------------------------------------------------------


def test_logprobs_are_those_of_the_answer_that_generate_gives(trained: Scene) -> None:
    model = TransformersModel(trained.base, {"canary": trained.adapter})
    requests = [
        Request(messages=[{"role": "user", "content": text}], adapter=name, max_tokens=6)
        for text in ("where is my new card?", "hi")
        for name in (None, "canary")
    ]
    scored, replies = model.logprobs(requests, 3), model.generate(requests)
    first = model.distributions(requests)
    for i, (one, reply) in enumerate(zip(scored, replies, strict=True)):
        assert one.text == reply.text
        assert len(one.steps) == reply.completion_tokens + (reply.finish == "stop")
        assert all(len(step) == 3 and step[0].logprob >= step[1].logprob >= step[2].logprob for step in one.steps)
        assert first[i].argmax() == one.steps[0][0].id
        assert first[i].max() == pytest.approx(one.steps[0][0].logprob, abs=1e-5)
    # (requests, vocabulary): each row a distribution
    assert first.shape == (4, 1024)
    assert abs(2.718281828 ** first.astype(float)).sum(axis=1) == pytest.approx([1.0] * 4, abs=1e-4)


def test_an_answer_that_a_stop_text_ends_has_no_step_more(trained: Scene) -> None:
    model = TransformersModel(trained.base)
    asked = Request(messages=[{"role": "user", "content": "where is my new card?"}], max_tokens=8)
    whole = model.logprobs([asked], 1)[0]
    stopped = replace(asked, stop=(whole.text[3:6],))
    reply, scored = model.generate([stopped, asked])[0], model.logprobs([stopped, asked], 1)[0]
    assert reply.finish == "stop"
    assert scored.text == reply.text
    assert len(scored.steps) == reply.completion_tokens < len(whole.steps)


def test_a_prompt_too_long_for_the_base_is_told(trained: Scene, tmp_path: Path, clock) -> None:
    file = tmp_path / "asked.txt"
    file.write_text("why " * 2000 + "\n")
    with opened(tmp_path, clock) as w, pytest.raises(Unmet, match="the prompt has"):
        w.model.canaries(None, trained.base, prompts=file)


def test_a_base_alone_is_compared_with_what_lay_there(scene: Scene, tmp_path: Path, clock) -> None:
    with opened(tmp_path, clock) as w:
        assert w.model.canaries(None, scene.base).outcome == "abstain"
        assert w.model.canaries(None, scene.base).outcome == "pass"
        one_value_of_the_base_moved(scene)
        made = w.model.canaries(None, scene.base)
        assert (made.outcome, [f.check for f in made.findings]) == ("fail", ["model.canaries"])
