"""Sources whose rows may have to go: an adapter of their own that is dropped, or a tier that is trained again."""

from __future__ import annotations

import json
import random
import shutil
import signal
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import whence
from lifecycle.trials import Trials
from whence.lineage import aliases
from whence.lineage import beside as now
from whence.models import altered
from whence.models.backends.transformers_peft import TransformersModel
from whence.records import Adapter, Closure, Gate, Recipe, Release, Unmet, Verdict
from whence.serve import Gateway, Settings
from whence.store import verify

pytestmark = pytest.mark.tiny

TOML = """\
[project]
name = "desk"
owner = "ann@example.org"
{sources}
[base]
path = "./tiny-base"

[recipe]
epochs = 4
batch_rows = 6
learning_rate = 6e-3
warmup_steps = 3
checkpoint_every = 10
{recipe}
[[suites]]
name = "dev"
role = "dev"
path = "dev.jsonl"
scorer = "label"

[[suites]]
name = "gate"
role = "gate"
path = "gate.jsonl"
scorer = "label"

[gate]
min_value = 0.4
min_gain = 0.1
min_items = 20
min_slice_items = 8
max_slice_drop = 0.5

[serving]
alias = "support"
max_tokens = 12
"""
SOURCE = """
[[sources]]
name = "{name}"
path = "{name}.jsonl"
kind = "licensed"
licence = "CC-BY-4.0"
consent_basis = "not-personal"
revocable = {revocable}
map = {{ id = "id", prompt = "input", completion = "expected" }}
"""
REQUIREMENTS = """
[[requirements]]
id = "sorted"
text = "Each question is sorted."

[[requirements.criteria]]
id = "sorted.label"
statement = "The answer is one of the labels."
slice = "*"
check = "label"
value = ["card_not_arrived", "exchange_rate", "freeze_account"]
threshold = 0.9
tolerance = 0.3

[[requirements]]
id = "kind"
text = "Answers are friendly."
"""
THINGS = {
    "card_not_arrived": "my new {} card has not come by post, was the {} card sent, i wait for it",
    "exchange_rate": "what is the exchange rate of the {} today, how many {} do i get for one pound",
    "freeze_account": "please freeze the {} account at once, stop every payment on {}",
}
NAMES = (
    "silver",
    "euro",
    "joint",
    "krone",
    "blue",
    "dollar",
    "rupee",
    "green",
    "travel",
    "gold",
    "franc",
    "red",
    "peso",
)


def lines(label: str, count: int, seed: str) -> list[dict[str, str]]:
    draw = random.Random(seed + label)
    made = []
    for n in range(count):
        words = THINGS[label].format(draw.choice(NAMES), draw.choice(NAMES)).split()
        start = draw.randrange(len(words) // 3)
        text = " ".join(words[start : start + 2 * len(words) // 3])
        made.append({"id": f"{seed}-{label}-{n}", "input": text, "expected": label})
    return made


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def project(folder: Path, base: Path, recipe: str = "", alike: bool = False) -> Path:
    """Two sources; what the partner's rows ask stands nowhere else, or, alike, is what the desk's ask."""
    shutil.copytree(base, folder / "tiny-base")
    labels = list(THINGS)
    rest = labels if alike else labels[:2]
    late = labels if alike else labels[2:]
    rows = {"desk": [row for one in rest for row in lines(one, 30, "desk")]}
    rows["partner"] = [row for one in late for row in lines(one, 30 // len(late), "partner")]
    trained = {row["input"] for of in rows.values() for row in of}
    for name, count in (("dev", 3), ("gate", 14)):
        rows[name] = [
            row for one in labels for row in [r for r in lines(one, 40, name) if r["input"] not in trained][:count]
        ]
    for name, of in rows.items():
        write(folder / f"{name}.jsonl", of)
    sources = SOURCE.format(name="desk", revocable="false") + SOURCE.format(name="partner", revocable="true")
    (folder / "whence.toml").write_text(TOML.format(sources=sources, recipe=recipe))
    return folder


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    folder = project(tmp_path_factory.mktemp("routed"), tiny_base)
    with (folder / "whence.toml").open("a") as file:
        file.write(REQUIREMENTS)
    with whence.open(folder, create=True, actor="ann@example.org") as w:
        w.run()
    return folder


def sources_of(w: Any, adapter: str) -> set[str]:
    from whence.train import recorded

    made = recorded(w.store, w.store.get(adapter, Adapter).run)
    assert made
    rows = w.store.get_set(str(made.report.set))
    return {name for part in w.store.scan(["source"], rows) for name in part["source"].to_pylist()}


def ask(url: str, text: str) -> dict[str, Any]:
    body = json.dumps({"model": "support", "messages": [{"role": "user", "content": text}], "temperature": 0}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        said: dict[str, Any] = json.load(answer)
    return said


def one_thread(base: Path, adapters: Any) -> TransformersModel:
    return TransformersModel(base, adapters, threads=1)


def test_each_adapter_has_seen_its_rows_alone_and_is_judged_by_what_it_is_asked(routed: Path) -> None:
    with whence.open(routed, actor="ann@example.org") as w:
        out = w.run()
        assert [stage.fresh for stage in out.stages] == [False] * 6
        [beside] = out.beside
        assert sources_of(w, out.adapter) == {"desk"}
        assert sources_of(w, beside.adapter) == {"partner"}
        assert "routed; what they ask tells them from the others with informedness 1.00" in out.stages[2].lines[0]
        for one, items in ((out, 28), (beside, 14)):
            verdict = w.store.get(one.verdict, Verdict)
            assert verdict.outcome == "pass"
            asked = next(found.n for found in verdict.findings if found.check == "gate.value")
            assert abs(asked - items) <= 4
            criteria = [found for found in verdict.findings if found.check == "spec.held"]
            said = [("sorted.label", "pass", "high"), ("kind", "abstain", "info")] if one is out else []
            assert [(found.about, found.verdict, found.severity) for found in criteria] == said
        assert json.loads((routed / "whence.lock").read_text())["beside_releases"] == [beside.release]
        assert verify(w.store) == []


def test_requests_are_routed_and_one_that_is_dropped_answers_no_more(routed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(routed, folder)
    card, frozen = "was my new blue card sent", "please freeze the joint account at once"
    with whence.open(folder, actor="ann@example.org") as w:
        out = w.run()
        [beside] = out.beside
        with Gateway(w.store, (), Settings(port=0), model_factory=one_thread) as url:
            assert ask(url, card)["model"] == "desk@1"
            said = ask(url, frozen)
            assert (said["model"], said["choices"][0]["message"]["content"]) == ("desk-partner@1", "freeze_account")
            opened = w.rights.case.open("takedown", source="partner")
            assert [(one.what, one.name) for one in opened.tasks] == [
                ("adapter", "desk-partner@1"),
                ("deployment", f"desk-partner@1 at {url}"),
            ]
            assert opened.tasks[0].actions == ("drop", "note", "waive")
            done = w.rights.case.act(opened.case.name, "drop", "desk-partner@1")
            assert (done.action, done.proof) == ("drop", "exact")
            assert not (w.store.root / w.store.get(beside.adapter, Adapter).location).exists()
            assert ask(url, frozen)["model"] == "desk@1"
            assert ask(url, card)["model"] == "desk@1"
        with Gateway(w.store, (), Settings(port=0), model_factory=one_thread) as url:
            assert ask(url, frozen)["model"] == "desk@1"
        assert w.rights.case.show(opened.case.name).open == ()
        assert verify(w.store) == []


def test_what_was_dropped_stands_in_nobodys_way(routed: Path, tmp_path: Path) -> None:
    """Of a release beside it that has no profile, of a later rebuild of the first, of a walk after both."""
    folder = tmp_path / "desk"
    shutil.copytree(routed, folder)
    with whence.open(folder, actor="ann@example.org") as w:
        out = w.run()
        other = replace(w.store.get(out.adapter, Adapter), name="other", profile=None)
        w.store.put(Release(name="other@1", adapter=w.store.put(other), verdict=None))
        with Gateway(w.store, ("support", "other@1"), Settings(port=0), model_factory=one_thread) as url:
            assert ask(url, "please freeze the joint account at once")["model"] == "desk-partner@1"
        w.rights.case.open("takedown", source="partner")
        w.rights.case.act("takedown-1", "drop", "desk-partner@1")
        w.rights.case.open("takedown", row="desk:desk-exchange_rate-3")
        done = w.rights.case.act("takedown-2", "rebuild", "desk@1")
        assert w.store.get(done.facts["release"], Release).name == "desk@2"
        assert (aliases(w.store)["support"], now(w.store, "support")) == (done.facts["release"], ())
        again = w.run("train")
        assert (again.stages[2].fresh, again.adapter) == (False, done.rebuilt.adapter)


@pytest.mark.fault
def test_a_rebuild_that_is_killed_is_ended_by_the_same_command(routed: Path, tmp_path: Path) -> None:
    """In its proof, and once it is judged, once the alias was moved, at its very end."""
    folder = tmp_path / "desk"
    shutil.copytree(routed, folder)
    with whence.open(folder, actor="ann@example.org") as w:
        w.rights.case.open("takedown", row="partner:partner-freeze_account-3")
    trials = Trials(folder, "rebuild", "desk-partner@1", "--prove", case="takedown-1")
    trials.fresh()
    for name in ("progress from the start: training", "after verdict.given", "after alias.moved", "after case.acted"):
        assert trials.run(name)[0] == -signal.SIGKILL, name
        task, _ = trials.looked_at("adapter")
        assert (task.done is not None) == trials.acted() == (name == "after case.acted"), name
    assert (task.action, task.proof) == ("rebuild", "exact")
    with whence.open(trials.place, project=False) as w:
        assert [now(w.store, "support")] == [(w.store.events("case.acted")[0].data["release"],)]


def test_a_profile_that_was_changed_is_named_and_not_routed_by(routed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(routed, folder)
    with whence.open(folder, actor="ann@example.org") as w:
        [beside] = w.run().beside
        file = w.store.root / w.store.get(beside.adapter, Adapter).location / "profile.json"
        file.write_text(file.read_text().replace("30", "31", 1))
        assert ["its profile changed" in one.message for one in verify(w.store, altered=altered)] == [True]
        with pytest.raises(Unmet, match="no profile, or not the one of its training"):
            Gateway(w.store, (), Settings(port=0), model_factory=one_thread).start()


def test_a_row_of_a_routed_source_is_rebuilt_without_and_serves_beside_the_same(routed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    shutil.copytree(routed, folder)
    with whence.open(folder, actor="ann@example.org") as w:
        out = w.run()
        [beside] = out.beside
        w.rights.case.open("takedown", row="partner:partner-freeze_account-3")
        done = w.rights.case.act("takedown-1", "rebuild", "desk-partner@1", prove=True)
        assert done.rebuilt
        assert done.rebuilt.outcome == "proven"
        assert sources_of(w, done.rebuilt.adapter) == {"partner"}
        served = w.store.get(done.facts["release"], Release)
        assert (served.name, served.adapter) == ("desk-partner@2", done.rebuilt.adapter)
        assert (aliases(w.store)["support"], now(w.store, "support")) == (out.release, (done.facts["release"],))
        assert w.store.get(done.rebuilt.adapter, Adapter).profile != w.store.get(beside.adapter, Adapter).profile
        again = w.run()  # the same rows and recipe: what the rebuild made is found
        assert [stage.fresh for stage in again.stages[2:]] == [False] * 4
        assert (again.release, again.beside[0].release) == (out.release, done.facts["release"])
        assert verify(w.store) == []


def test_rows_like_the_others_get_a_tier(tmp_path: Path, tiny_base: Path) -> None:
    """Of a tier only the last stretch is trained again, and without all of it nothing is."""
    folder = project(tmp_path, tiny_base, "rehearsal = 0.5\n", alike=True)
    with whence.open(folder, create=True, actor="ann@example.org") as w:
        out = w.run()
        assert "tier; " in out.stages[2].lines[0]
        recipe = w.store.get(w.store.get(w.store.get(out.adapter, Adapter).closure, Closure).recipe, Recipe)
        [tier] = recipe.schedule.tiers
        assert (tier.sources, tier.first_step, tier.steps) == (("partner",), 60, 28)
        assert w.store.get(out.gate, Gate).own is None, "what they teach cannot be told from the rest"
        made = w.model.rebuild(out.adapter, without=["row:partner:partner-exchange_rate-3"], prove=True)
        assert made.outcome == "proven"
        assert made.plan.from_step >= 60
        assert made.plan.share < 0.5
        made = w.model.rebuild(out.adapter, without=["source:partner"], prove=True)
        assert (made.outcome, made.plan.from_step) == ("proven", 60)
        w.rights.case.open("end-of-life", base="tiny-base")
        w.rights.case.act("end-of-life-1", "retire", "desk@1")
        with pytest.raises(Unmet, match="was retired \\(end-of-life-1\\)"):
            w.run("train")


def test_starved_rows_do_not_pass(tmp_path: Path, tiny_base: Path) -> None:
    """A tier whose rate is next to nothing teaches nothing of what stands nowhere else: the whole suite would pass."""
    folder = project(tmp_path, tiny_base, 'revocable = "tier"\npeak = 0.0001\n')
    with whence.open(folder, create=True, actor="ann@example.org") as w:
        out = w.run()
        verdict = w.store.get(out.verdict, Verdict)
        said = {(one.message.partition(":")[0], one.verdict) for one in verdict.findings if one.check == "gate.part"}
        assert ("what revocable rows teach", "fail") in said
        assert ("the rest", "fail") not in said
        assert next(one.verdict for one in verdict.findings if one.check == "gate.value") == "pass"
        assert (out.outcome, out.release) == ("fail", None)


def test_nothing_but_revocable_rows_is_refused(tmp_path: Path, tiny_base: Path) -> None:
    folder = project(tmp_path, tiny_base, 'revocable = "routed"\n')
    text = (folder / "whence.toml").read_text()
    (folder / "whence.toml").write_text(text.replace("revocable = false", "revocable = true"))
    with whence.open(folder, create=True) as w, pytest.raises(Unmet, match="all rows may have to go"):
        w.run("train")
