"""The path of one fine-tune, from the project file to a release. Read it from top to bottom.

Every stage is named by what goes into it; one whose inputs have the digest of a finished one is skipped and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from whence import data, evaluate, govern, register, train
from whence.evaluate import Contender, ItemFields
from whence.lifecycle.lines import evaluation_line, finding_line, ingest_line, step_line, training_lines
from whence.lifecycle.model import LazyModel, keep_canaries
from whence.models import load_base
from whence.project import Project, load_checks, read_lock, write_lock
from whence.records import (
    METHODS,
    Adapter,
    Closure,
    Evaluation,
    Finding,
    Gate,
    Json,
    Ownership,
    Prompt,
    Ref,
    Release,
    RunReport,
    Snapshot,
    Step,
    Unmet,
    Verdict,
    encode,
    sha256,
)
from whence.store import Store
from whence.text import normalise

STAGES = ("ingest", "curate", "train", "evaluate", "judge", "release")


class Told(Protocol):
    """Who is told what happens."""

    def progress(self, stage: str, what: str, done: float, total: float) -> None:
        """Something long is under way."""

    def stage(self, stage: str, fresh: bool, lines: list[str]) -> None:
        """A stage ended; `fresh` is False when it was up to date."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a walk as it ended."""

    name: str
    """one of `STAGES`"""
    fresh: bool
    """whether anything was done; False: it was up to date"""
    lines: list[str]
    """what a person reads"""


@dataclass(slots=True)
class Outcome:
    """How far a walk came, by digest."""

    ingests: list[Ref] = field(default_factory=list)
    snapshot: Ref | None = None
    base: Ref | None = None
    adapter: Ref | None = None
    baseline: Ref | None = None
    candidate: Ref | None = None
    gate: Ref | None = None
    verdict: Ref | None = None
    release: Ref | None = None
    wheels: dict[str, str] = field(default_factory=dict)
    """file → SHA-256 of those that the adapter's closure names"""
    outcome: str | None = None
    """of the verdict: pass, fail or abstain"""
    stages: list[Stage] = field(default_factory=list)
    """in order"""

    def resolved(self) -> dict[str, Json]:
        """What each stage came to, for the lock file and for --json."""
        return {k: v for k, v in asdict(self).items() if v and k not in ("outcome", "stages")}

    @property
    def waived(self) -> bool:
        """Whether the release stands on a waiver."""
        return self.release is not None and self.outcome != "pass"


def run(project: Project, store: Store, told: Told, to: str = STAGES[-1]) -> Outcome:
    """Walk the path up to and including the stage `to`. Raises Unmet, Conflict, BackendFailed."""
    walk = Walk(project, store, told)
    read_lock(project.folder)  # one from a newer whence is refused before anything is done
    own(project, store)
    govern.declare(store, project.file.project.name, project.use())
    if not METHODS[project.file.recipe.method].answers:  # a model that scores is not served
        to = min(to, "train", key=STAGES.index)
    _ready(project, to)
    for stage in STAGES[: STAGES.index(to) + 1]:
        fresh, lines = getattr(walk, stage)()
        walk.out.stages.append(Stage(stage, fresh, lines))
        told.stage(stage, fresh, lines)
        write_lock(project.folder, store, walk.out.resolved())
    return walk.out


def judged(project: Project, store: Store, told: Told, adapter: Ref) -> Outcome:
    """The end of the path for an adapter that was not made on it: evaluated, judged by the same gate, released."""
    walk = Walk(project, store, told)
    made = store.get(adapter, Adapter)
    closure = store.get(made.closure, Closure)
    walk.out.adapter, walk.out.base, walk.out.snapshot = adapter, closure.base, closure.snapshot
    walk.out.wheels = train.wheels_of(store, made)
    for stage in ("evaluate", "judge", "release"):
        fresh, lines = getattr(walk, stage)()
        walk.out.stages.append(Stage(stage, fresh, lines))
        told.stage(stage, fresh, lines)
    write_lock(project.folder, store, walk.out.resolved())
    return walk.out


def own(project: Project, store: Store) -> None:
    """Who answers for what this project makes, recorded when it changes."""
    part = project.file.project
    known = [o for _, o in store.all(Ownership) if o.about == part.name]
    if not known or (known[-1].accountable, known[-1].backup) != (part.owner, part.backup):
        store.put(Ownership(about=part.name, accountable=part.owner, backup=part.backup, since=store.clock()))


def _ready(project: Project, to: str) -> None:
    """What the last stages need is there before the first one begins. Raises Unmet."""
    last, base = STAGES.index(to), project.file.base
    if last >= STAGES.index("train") and base.path.startswith((".", "/", "~")):
        load_base(base.path, base.revision, project.folder)
    roles = {part.role for part in project.file.suites}
    for role in ("dev", "gate") if last >= STAGES.index("evaluate") else ():
        if role not in roles:
            raise Unmet(
                f"the project has no {role} suite", f"[[suites]] with role = {role!r}", "add one to whence.toml"
            )


class Walk:
    """One walk; each method is one stage and returns (whether anything was done, lines to show)."""

    def __init__(self, project: Project, store: Store, told: Told) -> None:
        self.project, self.file, self.store, self.told = project, project.file, store, told
        self.out = Outcome()
        self.suites: dict[str, Ref] = {}

    # -- data --------------------------------------------------------------------------------------------------------

    def ingest(self) -> tuple[bool, list[str]]:
        """Each source's file → rows and quarantine."""
        any_fresh, lines = False, []
        rights, admit = govern.rights_digest(self.store), govern.admitter(self.store)
        for i, part in enumerate(self.file.sources):
            plan = data.Plan(
                source=self.project.source(i),
                path=self.project.source_place(i),
                format=self.project.source_format(i),
                map=part.map,
                rights=rights,
            )
            run, fresh = data.ingest(self.store, plan, admit, self._progress("ingest", part.name))
            self.out.ingests.append(run)
            any_fresh |= fresh
            lines.append(ingest_line(self._report(run)))
            kept = govern.unheeded(self.store, plan.source)
            lines += [govern.unheeded_line(plan.source, licence, len(rows)) for licence, rows in kept]
        found = govern.search(self.store, self._progress("ingest", "people by what they are called"))
        return any_fresh or bool(found), [*lines, f"people by what they are called: {found:,} new"] if found else lines

    def curate(self) -> tuple[bool, list[str]]:
        """Rows → snapshot; what a suite holds never trains."""
        self._put_suites()
        plan = data.CurationPlan(
            name=self.file.project.name,
            ingests=self.out.ingests,
            steps=self.project.steps(),
            withdrawn=govern.withdrawn_rows(self.store),
            disputed=govern.disputed_rows(self.store),
            groups=self._groups(),
            inputs={"rights": govern.rights_digest(self.store), "suites": sha256(encode(sorted(self.suites.items())))},
        )
        self.out.snapshot, fresh = data.curate(
            self.store, plan, lambda step, done, total: self.told.progress("curate", step, done, total)
        )
        snapshot = self.store.get(self.out.snapshot, Snapshot)
        steps = [step_line(self.store.get(ref, Step)) for ref in snapshot.steps]
        none = [] if snapshot.rows else ["no row is left: see `whence data quarantine` and `whence data removed`"]
        return fresh, [*steps, f"frozen: {snapshot.rows:,} rows, Merkle root {snapshot.root[7:23]}…", *none]

    def _put_suites(self) -> None:
        for part in self.file.suites:
            slices = part.map.get("slices", ())
            fields = ItemFields(
                **{k: v for k, v in part.map.items() if k != "slices"},
                slices=(slices,) if isinstance(slices, str) else tuple(slices),
            )
            items = evaluate.read_suite(self.project.folder / part.path, fields)
            labels = (
                sorted({str(i.expected) for i in items if i.expected is not None}) if part.scorer == "label" else []
            )
            self.suites[part.name] = evaluate.put_suite(self.store, part.name, part.role, part.scorer, items, labels)

    def _groups(self) -> dict[str, Iterable[tuple[str, str]]]:
        """What suites hold, by kind → (value, suite): people by pseudonym, conversations, normalised questions."""
        groups: dict[str, list[tuple[str, str]]] = {"group": [], "subject": [], "text": []}
        for part in self.file.suites:
            for item in evaluate.items_of(self.store, self.suites[part.name]):
                groups["text"].append((normalise(data.question_of({"prompt": item.input})), part.name))
                if item.group is not None:
                    by = part.groups_are
                    value = self.store.keys.pseudonym(item.group) if by == "subject" else item.group
                    groups[by].append((value, part.name))
        return dict(groups)

    # -- model -------------------------------------------------------------------------------------------------------

    def train(self) -> tuple[bool, list[str]]:
        """(base, snapshot, recipe) → adapter, in a process of its own."""
        part, snapshot = self.file.base, self.out.snapshot
        assert snapshot is not None
        if not self.store.get(snapshot, Snapshot).rows:
            do = "look at `whence data quarantine --words` and `whence data removed`"
            raise Unmet("the snapshot is empty: no row is left to train on", "rows", do)
        self.out.base = register.register_base(
            self.store, part.path, folder=self.project.folder, revision=part.revision, licence=part.licence
        )
        run = train.prepare(self.store, self.out.base, snapshot, self.project.recipe())
        fresh = not self.store.events("run.finished", about=run)
        self.out.adapter = train.train(
            self.store, run, on_progress=self._training, code=self.project.folder, wheels=self.project.wheels
        )
        made = self.store.get(self.out.adapter, Adapter)
        self.out.wheels = train.wheels_of(self.store, made)
        return fresh, training_lines(self._report(run).facts, self.out.adapter, made)

    def _training(self, sign: train.Progress) -> None:
        self.told.progress("train", sign.stage, sign.done, sign.total)

    # -- verdict -----------------------------------------------------------------------------------------------------

    def evaluate(self) -> tuple[bool, list[str]]:
        """Base with its best prompt, then the gate is fixed, then the candidate; all on the same items."""
        dev, gate = self._suite("dev"), self._suite("gate")
        before = self.store.count(Evaluation)
        base, adapter = self.out.base, self.out.adapter
        assert base is not None
        assert adapter is not None
        model = LazyModel(self.store, base, adapter, self.file.recipe.threads)
        alone = Contender(model=model, base=base)
        tuned = Contender(model=model, base=base, adapter=adapter, adapter_name=model.name)
        tokens = self.file.serving.max_tokens
        best = evaluate.best_prompt(
            self.store, alone, dev, max_tokens=tokens, on_progress=self._progress("evaluate", "base's best prompt")
        )
        plain = self.store.put(Prompt(template="bare", text=""))
        told = self._progress("evaluate", "base on the gate")
        bare = evaluate.evaluate(self.store, alone, gate, plain, max_tokens=tokens, on_progress=told)
        self.out.baseline = evaluate.evaluate(self.store, alone, gate, best, max_tokens=tokens, on_progress=told)
        self.out.gate = evaluate.fix_gate(self.store, Gate(suite=gate, **asdict(self.file.gate)))
        self.out.candidate = evaluate.evaluate(
            self.store, tuned, gate, plain, max_tokens=tokens, on_progress=self._progress("evaluate", "candidate")
        )
        chosen = self.store.get(best, Prompt)
        lines = [
            evaluation_line("base, bare", self.store.get(bare, Evaluation)),
            evaluation_line(
                f"base, best prompt ({chosen.template}, {len(chosen.shots)} shots)", self._evaluation("baseline")
            ),
            evaluation_line("adapter", self._evaluation("candidate")),
            *keep_canaries(self.store, model, adapter),
        ]
        return self.store.count(Evaluation) > before, lines

    def judge(self) -> tuple[bool, list[str]]:
        """The gate's rules and every installed check → verdict."""
        before = self.store.count(Verdict)
        assert self.out.gate
        assert self.out.candidate
        assert self.out.baseline
        self.out.verdict = evaluate.judge(
            self.store, self.out.gate, self.out.candidate, self.out.baseline, self._findings()
        )
        verdict = self.store.get(self.out.verdict, Verdict)
        self.out.outcome = verdict.outcome
        return self.store.count(Verdict) > before, [finding_line(f) for f in verdict.findings]

    def _findings(self) -> list[Finding]:
        things = [ref for ref in (self.out.snapshot, self.out.base, self.out.adapter) if ref]
        return [f for _, check in sorted(load_checks().items()) for thing in things for f in check(self.store, thing)]

    def release(self) -> tuple[bool, list[str]]:
        """A passing verdict, or a standing waiver, makes a release and moves the alias."""
        assert self.out.adapter
        assert self.out.verdict
        before = self.store.count(Release)
        name = self.file.project.name
        if self.out.outcome != "pass" and not register.standing_waiver(self.store, self.out.verdict):
            return False, [f"no release: the verdict is {self.out.outcome}"]
        self.out.release = register.release(self.store, name, self.out.adapter, self.out.verdict)
        alias = self.file.serving.alias or name
        moved = register.move_alias(self.store, alias, self.out.release)
        made = self.store.get(self.out.release, Release)
        return moved or self.store.count(Release) > before, [f"{made.name}, served under the alias {alias!r}"]

    # -- small things ------------------------------------------------------------------------------------------------

    def _progress(self, stage: str, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.told.progress(stage, what, done, total)

    def _report(self, run: Ref) -> RunReport:
        report = data.finished(self.store, run)
        assert report is not None
        return report

    def _suite(self, role: str) -> Ref:
        if not self.suites:
            self._put_suites()
        return self.suites[next(part.name for part in self.file.suites if part.role == role)]

    def _evaluation(self, which: str) -> Evaluation:
        return self.store.get(getattr(self.out, which), Evaluation)
