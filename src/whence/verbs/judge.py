"""``eval`` and ``ship``: scores with their intervals; verdicts, waivers, releases and the names that point to them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from whence import register
from whence.data import Access, note_accesses, noted, read_accesses
from whence.evaluate import by_another_tool, lint, read_reviews, scored, write_evidence
from whence.lifecycle.exposure import Exposure, Tried, exposure, tried
from whence.lifecycle.retiring import Retired, retire
from whence.lifecycle.validity import Validity, note_outcomes, validity
from whence.lifecycle.verdicts import Line, baseline_value, lines_of, tell
from whence.lineage import find, resolve
from whence.records import Evaluation, Event, Finding, NotFound, Ref, Release, Run, Suite, Unmet, Verdict, WhenceError
from whence.store.suites import current_suites
from whence.verbs.binding import binding
from whence.verbs.canaries import Hosted
from whence.verbs.judges import judged
from whence.verbs.scopes import moment

if TYPE_CHECKING:
    from whence.evaluate import Evidence
    from whence.lifecycle.run import Outcome
    from whence.verbs.canaries import Hosted
    from whence.verbs.session import Session


class Eval:
    """Scores. Each verb is that of `whence eval`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def run(self) -> Outcome:
        """Walk to the evaluation: base with its best prompt, then the gate is fixed, then the candidate."""
        return self._session.run("evaluate")

    def lint(self, reviews: str | Path | None = None) -> list[Finding]:
        """What keeps the requirements in whence.toml from being falsified (docs/criteria.md): undefined words, what is
        missing, contradictions, orphans, checkers that let violations pass, too few answers. Nothing is asked of a
        model, and nothing is kept. reviews: a file of JSON lines with the members of `Review`; what two reviewers of
        the same answers say is compared. Raises Unmet without requirements, or naming every bad line."""
        spec = self._session.project.spec()
        if not spec.requirements:
            raise Unmet("whence.toml has no requirement", "[[requirements]]", "write down what answers must be")
        ids = [one.id for one in spec.criteria()]
        return lint(spec, None if reviews is None else read_reviews(Path(reviews), ids))

    def judges(
        self,
        pairs: str | Path,
        whom: Hosted | None = None,
        base: str | Path | None = None,
        *,
        kind: Literal["grade", "pair"] | None = None,
        rubric: str | Path | None = None,
        half: Literal["edit", "final"] | None = None,
    ) -> list[Finding]:
        """Whether a model judges answers as people do, and what moves it that should not (docs/judges.md). Kept, with
        the judge as it was asked.

        pairs: a file of JSON lines with the members of `Labelled`, labelled by people who did not know whose answers
        they saw. whom: a hosted model; else `base`, a folder or hub id; else the judge that whence.toml names. kind: a
        choice between two answers (None), or a grade for each. rubric: a file that says what makes an answer better;
        None: a plain one. half: of the pairs, the one on which rubrics are tried, or the one that is left for a rubric
        that stands; None: all. Raises Unmet that names every bad line, BackendFailed where the judge failed always."""
        return judged(self._session, Path(pairs), whom, base, kind, rubric, half)

    def list(self) -> dict[Ref, Evaluation]:
        """Every evaluation with its interval and slices, oldest first."""
        return dict(self._store.all(Evaluation))

    def items(self, suite: str | None = None) -> Exposure:
        """What became of each item of a suite, and what the newest adapter gained on those that somebody has seen
        beyond what it gained on the others. suite: None: the gate's. Raises NotFound."""
        return exposure(self._store, self._suite(suite))

    def retire(
        self, suite: str | None = None, *, fresh: str | Path, write: str | Path, inspected: bool = False
    ) -> Retired:
        """Write a suite's file anew, as `write`: without items that rows were made after, each replaced by one of
        `fresh` that is like it and that nobody knows. The next run with that file makes the next version; the old items
        are then retired. suite: None: the gate's. fresh: lines of the suite's own form. inspected: also without those
        that somebody looked at. Raises Unmet where `write` is there already and for bad lines, NotFound."""
        project = self._session.project
        return retire(self._store, project, self._suite(suite), Path(fresh), Path(write), inspected)

    def validity(self, outcomes: str | Path | None = None) -> Validity:
        """Whether releases are in the same order by their gate's score as by what came of them in production: the mean
        rating of their answers, or the outcomes on record, those of the file `outcomes` among them from now on (JSON
        lines ``{"release", "value", "n"}``, all or none). Raises Unmet that names every bad line."""
        if outcomes is not None:
            note_outcomes(self._store, Path(outcomes))
        return validity(self._store, self._session.project.file.project.name)

    def tried(self, suite: str | None = None) -> list[Tried]:
        """Every model that was scored on the items of a suite as it is now, as they came. suite: None: the gate's.
        Raises NotFound."""
        return tried(self._store, self._suite(suite))

    def harness(
        self,
        tool: str,
        task: str,
        *more: str,
        at: str,
        model: str,
        key: str | None = None,
        adapter: str | None = None,
        metric: str | None = None,
        suite: str | None = None,
    ) -> list[Evidence]:
        """Run lm-eval or Inspect against an OpenAI-compatible endpoint, such as `whence serve`, and bring in the logs
        that it leaves in `whence-evals` of the project's folder. What it says goes to stderr.

        task: as the tool takes it. more: arguments that are handed on to it. at: ``http://HOST:PORT``. model: what the
        endpoint calls it. key: name of the environment variable that holds the endpoint's key. The others are those of
        `adopt.evals`. Raises Unmet where the tool is not installed, BackendFailed where it fails.
        """
        from whence.evaluate import Endpoint, run_harness
        from whence.serve.address import plain

        folder = self._session.folder / "whence-evals" / f"{self._store.clock():%Y%m%dT%H%M%S%f}-{tool}"
        logs = run_harness(tool, task, Endpoint(url=plain(at), model=model, key=key), folder, more)
        return self._session.adopt.evals(*logs, adapter=adapter, model=model, metric=metric, suite=suite)

    def parity(self, whom: Hosted | None = None) -> list[Finding]:
        """Does the newest adapter that was scored on the gate answer as it did then: merged into its base, and behind
        the gateway's own door? What was asked before is not asked again. whom: an endpoint where somebody serves it, in
        place of both, which is asked anew; a release or alias of that name says which adapter it is, and an answer
        under any other name is none. Raises NotFound where none was scored, BackendFailed."""
        from whence.lifecycle import parity
        from whence.lifecycle.judging import project_judge
        from whence.lifecycle.model import LazyModel
        from whence.models.backends.openai_http import OpenAIModel

        store, told = self._store, self._session.told
        every = [one for _, one in scored(store, current_suites(store)[self._suite(None)][0]) if one.adapter]
        tuned = [one for one in every if not by_another_tool(store.get(one.run, Run))]
        if not tuned:
            raise NotFound("no adapter was scored on the gate\n  do: whence eval run")
        served = [one for one in tuned if whom and one.adapter == self._served(whom.model)]
        last = (served or tuned)[-1]
        model = LazyModel(store, last.base, Ref(str(last.adapter)), self._session.project.file.recipe.threads)
        tokens = int(store.get(last.run, Run).inputs["max_tokens"])
        names = {one.name for _, one in store.all(Release) if one.adapter == last.adapter}
        at = whom and {
            f"{whom.url.rstrip('/')} {whom.model}": OpenAIModel(whom.url, whom.model, whom.key, {whom.model, *names})
        }
        judged = store.get(last.suite, Suite).scorer == "judge"
        judging = project_judge(self._session.project, store) if judged else None
        progress = partial(partial, told.progress, "parity")
        _, *asked = parity.ask(store, model, last.prompt, last.suite, tokens, progress, at, judging)
        found = parity.served(store, Ref(str(last.adapter)))
        return [one for one in found if set(asked).intersection(one.evidence)]

    def _served(self, name: str) -> Ref | None:
        """The adapter that is known under the name of a release or an alias."""
        try:
            return resolve(self._store, name)[1].adapter
        except WhenceError:
            return None

    def _suite(self, name: str | None) -> str:
        known = current_suites(self._store)
        named = [one for one, (_, suite) in known.items() if one == name or (name is None and suite.role == "gate")]
        if not named:
            said = f"no suite is called {name!r}" if name else "there is no gate suite yet"
            raise NotFound(f"{said}\n  known: {', '.join(sorted(known)) or 'none yet: whence eval run'}")
        return min(named, key=lambda one: known[one][1].scorer == "elsewhere")  # the project's own before a log's

    def access(self, file: str | Path | None = None) -> list[Access]:
        """Who read which items, when and for what: every access on record, those of `file` among them from now on
        (JSON lines with the members of `Access`, all or none). Rows that somebody adds who had looked at an item are
        looked at more closely (``data leaks``). Raises Unmet that names every bad line."""
        if file is not None:
            note_accesses(self._store, read_accesses(self._store, Path(file)))
        return noted(self._store)


class Ship:
    """Verdicts and releases. Calling it is `whence ship`; each verb is that of `whence ship`."""

    def __init__(self, session: Session) -> None:
        self._session, self._store = session, session.store

    def __call__(self, *, junit: str | Path | None = None, summary: str | Path | None = None) -> Outcome:
        """Judge and release in one: `outcome` says pass, fail or abstain, `release` what was made. junit: a file for
        the verdict as JUnit XML. summary: a file that it is added to in Markdown."""
        out = self._session.run()
        if out.verdict:
            given = self._store.get(out.verdict, Verdict)
            tell(given, baseline_value(self._store, given), junit, summary)
        return out

    def verdict(self, about: str | None = None) -> list[Line]:
        """Each rule and check of a verdict, those that decide first. about: by its first 6 digits or more; None: the
        newest. Raises NotFound."""
        given = self._store.get(self._verdict(about), Verdict)
        return lines_of(given, baseline_value(self._store, given))

    def gate(self, suite: str | None = None) -> Event:
        """Fix the gate of whence.toml on a suite as it is now, unless it is, and return the event that says when it
        was: before the candidate is scored elsewhere. suite: None: the project's gate suite. Raises NotFound, Unmet."""
        from whence.lifecycle.gating import fix

        return fix(self._session.project, self._store, self._session.told, suite)

    def judge(
        self,
        candidate: str,
        baseline: str,
        *,
        junit: str | Path | None = None,
        summary: str | Path | None = None,
    ) -> Ref:
        """The verdict by the gate of whence.toml on one evaluation against another, by their first 6 digits or more;
        nothing is released. junit, summary: files as for `whence ship`. Raises Unmet where they are of other items or
        were scored in another way."""
        from whence.lifecycle.gating import judged

        refs = [self._evaluation(one) for one in (candidate, baseline)]
        if refs[0] == refs[1]:
            raise Unmet("an evaluation is compared with itself", "a candidate's and a baseline's", "name both")
        made = judged(self._session.project, self._store, self._session.told, *refs)
        given = self._store.get(made, Verdict)
        tell(given, baseline_value(self._store, given), junit, summary)
        return made

    def _evaluation(self, about: str) -> Ref:
        found = find(self._store, about)
        if not (isinstance(found, str) and isinstance(self._store.get(Ref(found)), Evaluation)):
            expected = "an evaluation, by its first 6 digits or more"
            raise Unmet(f"{about} is no evaluation", expected, "see whence eval list")
        return Ref(found)

    def evidence(self, file: str | Path, verdict: str | None = None) -> Ref:
        """Write what a verdict rests on, without a word of items or answers: `whence ship --evidence FILE` judges it
        again without a model or a store. verdict: by its first 6 digits or more; None: the newest. Raises NotFound,
        BackendFailed."""
        ref = self._verdict(verdict)
        write_evidence(self._store, ref, file)
        return ref

    def _verdict(self, about: str | None) -> Ref:
        known = [ref for ref, _ in self._store.all(Verdict)]
        if about is None and not known:
            raise NotFound("there is no verdict yet\n  do: whence ship")
        return Ref(str(find(self._store, about))) if about else known[-1]

    def waive(self, reason: str, until: datetime | str, about: str | None = None) -> Ref:
        """A person's dated exception; returns the waiver's digest.

        reason: kept apart, erasable. until: after which it counts no more. about: a verdict that is no pass (None: the
        newest), or a release, which may then be served on the base that lies at its place now although it is not the
        one it was trained on; on no other, and only where it fits. Raises Unmet without a person, a reason or a date
        to come.
        """
        found = self._verdict(about)
        if not isinstance(self._store.get(found), Release):
            return register.waive(self._store, found, reason, moment(until))
        checked = binding(str(about), store=self._store)
        if checked.binding.answer not in ("same-shape-different-base", "unknown") or checked.weights is None:
            found_out = str(checked.binding) or "nothing speaks against it"
            raise Unmet(
                f"{about} is {checked.binding.answer}: {found_out}",
                "same-shape-different-base, or unknown",
                "nothing" if checked.binding.answer == "exact" else "restore the folders, or train it again",
            )
        return register.waive_binding(self._store, found, checked.weights, reason, moment(until))

    def alias(self, name: str, release: str | None = None) -> list[Event]:
        """Every move of an alias, oldest first. release: point it there first, unless it is there already.
        Raises NotFound for an alias that never pointed anywhere."""
        if release:
            register.move_alias(self._store, name, resolve(self._store, release)[0])
        found = register.history(self._store, name)
        if not found:
            raise NotFound(f"no alias is called {name!r}\n  do: whence ship alias {name} RELEASE")
        return found

    def rollback(self, name: str, *, reason: str | None = None) -> Release:
        """Point an alias at the release before, and return that one. reason: kept apart. Raises NotFound."""
        return self._store.get(register.rollback(self._store, name, reason=reason), Release)
