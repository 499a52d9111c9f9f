"""The path of one fine-tune, from the project file to a release. Read it from top to bottom.

Every stage is named by what goes into it; one whose inputs have the digest of a finished one is skipped and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Protocol

from whence import data, evaluate, govern, register, train
from whence.evaluate import Contender, Judging
from whence.lifecycle import parity, routed
from whence.lifecycle.counters import counters
from whence.lifecycle.exposure import derived
from whence.lifecycle.findings import examples
from whence.lifecycle.judging import project_judge
from whence.lifecycle.lines import asked_line, evaluation_line, finding_line, ingest_line, step_line, training_lines
from whence.lifecycle.model import LazyModel, keep_canaries
from whence.lifecycle.rebuild import on_same_rows
from whence.lifecycle.routed import Made
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
    Recipe,
    Ref,
    Release,
    RunReport,
    Snapshot,
    Step,
    Suite,
    Unmet,
    Verdict,
    encode,
    sha256,
)
from whence.store import Store
from whence.text import normalise

STAGES = ("ingest", "curate", "train", "evaluate", "judge", "release")
EXAMPLES = 3
"""of a leak, said when the snapshot is frozen"""


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
class Outcome(Made):
    """How far a walk came, by digest; of several adapters, the one that answers what no other is asked."""

    ingests: list[Ref] = field(default_factory=list)
    beside: list[Made] = field(default_factory=list)
    """adapters of revocable sources, to which requests are routed"""
    wheels: dict[str, str] = field(default_factory=dict)
    """file → SHA-256 of those that the adapter's closure names"""
    stages: list[Stage] = field(default_factory=list)
    """in order"""
    post_hoc: bool = False
    """whether the gate was fixed when the candidate's score was known"""

    def resolved(self) -> dict[str, Json]:
        """What each stage came to, for the lock file and for --json."""
        mine = Made.resolved(self) | {k: v for k, v in (("ingests", self.ingests), ("wheels", self.wheels)) if v}
        kinds = {kind: [one.resolved()[kind] for one in self.beside if kind in one.resolved()] for kind in BESIDE}
        return mine | {f"beside_{kind}s": found for kind, found in kinds.items() if found}


BESIDE = ("snapshot", "adapter", "verdict", "release")
"""What the lock file names of adapters of revocable sources."""


def run(project: Project, store: Store, told: Told, to: str = STAGES[-1]) -> Outcome:
    """Walk the path up to and including the stage `to`. Raises Unmet, Conflict, BackendFailed."""
    walk = Walk(project, store, told)
    read_lock(project.folder)  # one from a newer whence is refused before anything is done
    own(project, store, project.file.project.name)
    govern.declare(store, project.file.project.name, project.use())
    if not METHODS[project.file.recipe.method].answers:  # a model that scores is not served
        to = min(to, "train", key=STAGES.index)
    _ready(project, to)
    if STAGES.index(to) >= STAGES.index("evaluate"):
        _ = walk.judging  # what it lacks is said before anything is done
    for stage in STAGES[: STAGES.index(to) + 1]:
        fresh, lines = getattr(walk, stage)()
        walk.out.stages.append(Stage(stage, fresh, lines))
        told.stage(stage, fresh, lines)
        write_lock(project.folder, store, walk.out.resolved())
    return walk.out


def judged(project: Project, store: Store, told: Told, adapter: Ref) -> Made:
    """The end of the path for an adapter that was not made on it: evaluated, judged by the same gate, released."""
    walk = Walk(project, store, told)
    walk.take(adapter)
    walk.out.wheels = train.wheels_of(store, store.get(adapter, Adapter))
    for stage in ("evaluate", "judge", "release"):
        fresh, lines = getattr(walk, stage)()
        walk.out.stages.append(Stage(stage, fresh, lines))
        told.stage(stage, fresh, lines)
    write_lock(project.folder, store, walk.out.resolved())
    return walk.parts[0]


def own(project: Project, store: Store, name: str) -> None:
    """Who answers for what this project makes under a name, recorded when it changes."""
    part = project.file.project
    known = [o for _, o in store.all(Ownership) if o.about == name]
    if not known or (known[-1].accountable, known[-1].backup) != (part.owner, part.backup):
        store.put(Ownership(about=name, accountable=part.owner, backup=part.backup, since=store.clock()))


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
        self.out = Outcome(name=project.file.project.name)
        self.parts: list[Made] = [self.out]
        """what is made: one adapter, or one and those beside it"""
        self.suites: dict[str, Ref] = {}

    def take(self, adapter: Ref) -> None:
        """Go on with an adapter that was made elsewhere, beside those that the alias serves with it now. Raises Unmet
        for one that is not of this project."""
        closure = self.store.get(self.store.get(adapter, Adapter).closure, Closure)
        for name, serving in routed.serving(self.project, self.store).items():
            one = self.out if name == self.out.name else Made(name=name)
            one.adapter, one.release = self.store.get(serving, Release).adapter, serving
            self.out.beside += [] if one is self.out else [one]
        wanted = self.store.get(closure.snapshot, Snapshot).name if closure.snapshot else None
        part = next((one for one in (self.out, *self.out.beside) if one.name == wanted), None)
        if part is None:
            raise Unmet(f"the adapter is of {wanted}", f"one of {self.out.name}", "name the project that it is of")
        part.adapter, part.release, part.base, part.snapshot = adapter, None, closure.base, closure.snapshot
        self.parts = [part]

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
        self.put_suites()
        plan = data.CurationPlan(
            name=self.file.project.name,
            ingests=self.out.ingests,
            steps=self.project.steps(),
            withdrawn=govern.withdrawn_rows(self.store),
            disputed=govern.disputed_rows(self.store),
            groups=self._groups(),
            inputs={"rights": govern.rights_digest(self.store), "suites": sha256(encode(sorted(self.suites.items())))},
            undone=data.undone(self.store, self.file.project.name),
            dropped=data.dropped(self.store, self.file.project.name),
        )
        self.out.snapshot, fresh = data.curate(
            self.store, plan, lambda step, done, total: self.told.progress("curate", step, done, total)
        )
        snapshot = self.store.get(self.out.snapshot, Snapshot)
        steps = [step_line(self.store.get(ref, Step)) for ref in snapshot.steps]
        none = [] if snapshot.rows else ["no row is left: see `whence data quarantine` and `whence data removed`"]
        told = lambda done, of: self.told.progress("curate", "leaks", done, of)  # noqa: E731
        leaks = list[str]()
        for one in data.leaked(self.store, self.out.snapshot, progress=told):
            if one.severity == "high" and one.verdict != "pass":
                some = examples(self.store, one, EXAMPLES)
                leaks += [finding_line(one), *(f"  {example.where}  {example.what}" for example in some)]
        return fresh, [*steps, f"frozen: {snapshot.rows:,} rows, Merkle root {snapshot.root[7:23]}…", *none, *leaks]

    def put_suites(self) -> dict[str, Ref]:
        """Put every suite of the project file on record as it is now. Name → digest."""
        for part in self.file.suites:
            items = self.project.items(part)
            labels = (
                sorted({str(i.expected) for i in items if i.expected is not None}) if part.scorer == "label" else []
            )
            self.suites[part.name] = evaluate.put_suite(
                self.store,
                part.name,
                part.role,
                part.scorer,
                items,
                labels,
                groups_are=part.groups_are,
                part_of=part.part_of,
                republishes=part.republishes,
            )
        return self.suites

    def _groups(self) -> dict[str, Iterable[tuple[str, str]]]:
        """What suites hold, by kind → (value, suite): people by pseudonym, conversations, normalised questions."""
        groups: dict[str, list[tuple[str, str]]] = {"group": [], "subject": [], "text": []}
        for part in self.file.suites:
            for item in evaluate.items_of(self.store, self.suites[part.name]):
                groups["text"].append((normalise(data.question_of({"prompt": item.input})), part.name))
                if item.group is not None:
                    by = part.groups_are or "subject"
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
        base = register.register_base(
            self.store, part.path, folder=self.project.folder, revision=part.revision, licence=part.licence
        )
        design, why = routed.design(self.project, self.store, snapshot)
        tier = routed.sources(self.project, self.store, snapshot) if design == "tier" else []
        if design == "routed":
            self.parts = routed.parts(self.project, self.store, self.out)
            self.out.beside = self.parts[1:]
            for one in self.out.beside:
                own(self.project, self.store, one.name)
                govern.declare(self.store, one.name, self.project.use(one.name))
        recipe = self.project.recipe(tier=tier, routed=design == "routed")
        any_fresh, lines = False, [f"revocable rows: {design}; {why}"] if design else []
        for one in self.parts:
            assert one.snapshot
            one.base = base
            run = on_same_rows(self.store, base, one.snapshot, recipe) or self._prepared(base, one.snapshot, recipe)
            any_fresh |= not self.store.events("run.finished", about=run)
            one.adapter = train.train(
                self.store, run, on_progress=self._training, code=self.project.folder, wheels=self.project.wheels
            )
            made = self.store.get(one.adapter, Adapter)
            one.snapshot = self.store.get(made.closure, Closure).snapshot  # of a rebuild: the same rows by other steps
            self.out.wheels = train.wheels_of(self.store, made)
            lines += self._of(one, training_lines(self._report(run).facts, one.adapter, made))
        return any_fresh, lines

    def _prepared(self, base: Ref, snapshot: Ref, recipe: Recipe) -> Ref:
        run = train.prepare(self.store, base, snapshot, recipe)
        known = train.recorded(self.store, run)
        if known and (why := register.retired(self.store, known.adapter_ref)):
            raise Unmet(
                f"the adapter of these rows, this base and this recipe was retired ({why})",
                "other rows, another base, or another recipe",
                "change the project file, or look at the case: whence rights case show",
            )
        return run

    def _training(self, sign: train.Progress) -> None:
        self.told.progress("train", sign.stage, sign.done, sign.total)

    # -- verdict -----------------------------------------------------------------------------------------------------

    def evaluate(self) -> tuple[bool, list[str]]:
        """Base with its best prompt, then the gate is fixed, then the candidate; all on the same items. Of several
        adapters each on the items that are routed to it."""
        before, lines = self.store.count(Evaluation), []
        own = routed.split(self.store, self.out, self.out.beside, self._suite("gate"))
        for one in self.parts:
            suite, ids = own[one.name]
            lines += self._of(one, self._evaluate(one, suite, ids))
        made = [one for _, one in self.store.all(Evaluation)][before:]
        return bool(made), [*lines, asked_line(self._report(one.run) for one in made)] if made else lines

    def _evaluate(self, one: Made, gate: Ref, own: tuple[str, ...] | None) -> list[str]:
        dev = self._suite("dev")
        base, adapter = one.base, one.adapter
        assert base is not None
        assert adapter is not None
        model = LazyModel(self.store, base, adapter, self.file.recipe.threads)
        alone = Contender(model=model, base=base)
        tuned = Contender(model=model, base=base, adapter=adapter, adapter_name=model.name)
        tokens = self.file.serving.max_tokens
        best = evaluate.best_prompt(
            self.store,
            alone,
            dev,
            max_tokens=tokens,
            judging=self.judging,
            on_progress=self._progress("evaluate", "base's best prompt"),
        )
        plain = self.store.put(Prompt(template="bare", text=""))
        told = self._progress("evaluate", "base on the gate")
        score = partial(evaluate.evaluate, self.store, max_tokens=tokens, judging=self.judging)
        bare = score(alone, gate, plain, on_progress=told)
        one.baseline = score(alone, gate, best, on_progress=told)
        asked = asdict(self.file.gate) | ({"min_items": self.file.gate.min_slice_items} if one is not self.out else {})
        criteria = evaluate.compiled(self.store, self.project.requirements()) if one is self.out else None
        one.gate = evaluate.fix_gate(self.store, Gate(suite=gate, **asked, own=own, criteria=criteria))
        one.candidate = score(tuned, gate, plain, on_progress=self._progress("evaluate", "candidate"))
        for part in self.file.suites if one is self.out else ():
            for who in {"fresh": [tuned], "counter": [alone, tuned]}.get(part.role, []):
                told = self._progress("evaluate", f"{'candidate' if who is tuned else 'base'} on {part.name}")
                score(who, self.suites[part.name], plain, on_progress=told)
        parity.ask(self.store, model, plain, gate, tokens, self._way, judging=self.judging)
        chosen = self.store.get(best, Prompt)
        return [
            evaluation_line("base, bare", self.store.get(bare, Evaluation)),
            evaluation_line(
                f"base, best prompt ({chosen.template}, {len(chosen.shots)} shots)",
                self.store.get(one.baseline, Evaluation),
            ),
            evaluation_line("adapter", self.store.get(one.candidate, Evaluation)),
            *keep_canaries(self.store, model, adapter),
        ]

    @cached_property
    def judging(self) -> Judging | None:
        """Who scores what a judge is to score."""
        judged = any(part.scorer == "judge" for part in self.file.suites)
        return project_judge(self.project, self.store) if judged else None

    def judge(self) -> tuple[bool, list[str]]:
        """The gate's rules and every installed check → verdict."""
        before, lines = self.store.count(Verdict), []
        for one in self.parts:
            assert one.gate
            assert one.candidate
            assert one.baseline
            since = evaluate.known_since(self.store, one.candidate)
            left = derived(self.store, self.store.get(self.store.get(one.gate, Gate).suite, Suite).name, since)
            one.verdict = evaluate.judge(self.store, one.gate, one.candidate, one.baseline, self.findings(one), left)
            verdict = self.store.get(one.verdict, Verdict)
            one.outcome = verdict.outcome
            self.out.post_hoc |= any(finding.check == evaluate.POST_HOC for finding in verdict.findings)
            lines += self._of(one, [finding_line(f) for f in verdict.findings])
        return self.store.count(Verdict) > before, lines

    def findings(self, one: Made) -> list[Finding]:
        """What every installed check says of what went into an adapter."""
        things = [ref for ref in (one.snapshot, one.base, one.adapter) if ref]
        checks = load_checks() | {"eval.counter": partial(counters, gate=one.gate)}  # by this verdict's own gate
        found = [f for _, check in sorted(checks.items()) for thing in things for f in check(self.store, thing)]
        return [*found, *(evaluate.left_out(self.project.requirements()) if one is self.out else ())]

    def release(self) -> tuple[bool, list[str]]:
        """A passing verdict, or a standing waiver, makes a release and moves the alias. Without one of the first
        adapter nothing moves."""
        before, lines = self.store.count(Release), []
        for one in self.parts:
            assert one.adapter
            assert one.verdict
            if one.outcome != "pass" and not register.standing_waiver(self.store, one.verdict):
                lines += self._of(one, [f"no release: the verdict is {one.outcome}"])
                continue
            one.release = register.release(self.store, one.name, one.adapter, one.verdict)
        if self.out.release is None:
            return self.store.count(Release) > before, lines
        alias = self.file.serving.alias or self.out.name
        beside = [one.release for one in self.out.beside if one.release]
        moved = register.move_alias(self.store, alias, self.out.release, beside)
        made, *others = (self.store.get(ref, Release).name for ref in (self.out.release, *beside))
        said = "".join(f", {name} beside it for what is asked like its rows" for name in others)
        lines.append(f"{made}, served under the alias {alias!r}{said}")
        return moved or self.store.count(Release) > before, lines

    def _way(self, way: str) -> Callable[[int, int], None]:
        return self._progress("evaluate", f"candidate, {way}")

    # -- small things ------------------------------------------------------------------------------------------------

    def _of(self, one: Made, lines: list[str]) -> list[str]:
        """Lines about one of several adapters."""
        return lines if self.out.beside == [] else [f"{one.name}: {line}" for line in lines]

    def _progress(self, stage: str, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.told.progress(stage, what, done, total)

    def _report(self, run: Ref) -> RunReport:
        report = data.finished(self.store, run)
        assert report is not None
        return report

    def _suite(self, role: str) -> Ref:
        if not self.suites:
            self.put_suites()
        return self.suites[next(part.name for part in self.file.suites if part.role == role)]
