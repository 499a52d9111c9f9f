"""An evaluation that another tool ran → the record: its items a suite, its answers an Evaluation, the log a digest.

The log itself is not copied: what it quotes lies, like that of our own evaluations, in the suite's and the scores'
blobs, where an erasure finds it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from whence.evaluate.answers import Line, unfit
from whence.evaluate.elsewhere import Answered, Log, read_log
from whence.evaluate.run import Count
from whence.evaluate.suites import items_of, put_suite
from whence.lineage import aliases, find
from whence.records import (
    Adapter,
    Base,
    Closure,
    Evaluation,
    Item,
    Json,
    Prompt,
    Ref,
    Release,
    Run,
    RunReport,
    Score,
    Suite,
    Unmet,
    encode,
    parse_time,
    text_time,
)
from whence.store import Store
from whence.store.suites import current_suites

OF_THE_LOG = frozenset({"log", "beside", "model", "started"})
"""Inputs of such a run that say which log it was. The others say how it was scored, and are the same in two logs that
can be compared."""
MISSING = "not in the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a person says of a log."""

    adapter: str | None = None
    """the adapter that answered, or a release of it, by name or digest; None: a base, of which the log has the name"""
    model: str | None = None
    """what the log calls the model, where that is not one of the adapter's names, or where it does not say"""
    metric: str | None = None
    """which of several"""
    suite: str | None = None
    """the suite that its items are; one that is not known yet: they become one of this name"""
    slices: Sequence[str] = ()
    """members of what the tool knows of an item, which make slices of a new suite"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A log that is in the record now."""

    evaluation: Ref
    """digest"""
    fresh: bool
    """whether it was new"""
    tool: str
    version: str | None
    """of the tool"""
    task: str | None
    """what the tool calls what it asked; None: the log does not say"""
    model: str
    """what answered: the adapter's name, or what the log calls it"""
    metric: str
    """whose values count"""
    started: datetime | None
    """when the first answer was asked for; None: the log does not say"""
    suite: str
    """the suite whose items these are"""
    new_suite: bool
    """whether it was made of this log"""
    paired: int
    """items of the suite that the log has"""
    items: int
    """items of the suite"""
    n: int
    """scored items"""
    right: int
    """items answered right"""
    value: float | None
    """right / n; None: nothing was scored"""
    low: float | None
    """95 % interval, lower end"""
    high: float | None
    """95 % interval, upper end"""
    unscored: Mapping[str, int]
    """reason → items"""
    notes: tuple[str, ...]
    """what a person should know"""


def adopt_log(store: Store, path: Path, claims: Claims = Claims()) -> Evidence:
    """Bring in one log; the same one again is found. Its items are paired with those of a suite by what was asked and
    what it is compared with.

    Raises Unmet for a file that is no log, for one that names another model than the adapter, for a metric that is not
    there, and where it holds items that the suite has not. Raises NotFound for an adapter that is not known.
    """
    began, cpu = time.monotonic(), time.process_time()
    log = read_log(path, metric=claims.metric, slices=claims.slices)
    base, adapter, model = _who(store, path, log, claims)
    with store.transaction():
        suite, items, by_item, new = _suite(store, path, log, claims.suite)
        prompt = store.put(Prompt(template=log.header.tool, text=_asked(log)))
        used = (suite, base, *([adapter] if adapter else []), prompt)
        run = store.put(Run(activity="evaluate", used=used, inputs=_inputs(log)))
        why = unfit(items)
        scores = [_score(item, by_item.get(item.id), why.get(item.id)) for item in items]
        known = store.events("run.finished", about=run)
        if known:
            made = Ref(known[0].data["evaluation"])
        else:
            answers = (by_item[item.id].answer if item.id in by_item else None for item in items)
            lines = (Line.of(score, answer) for score, answer in zip(scores, answers, strict=True))
            count = Count(items)
            evaluation = Evaluation(
                run=run,
                suite=suite,
                base=base,
                adapter=adapter,
                prompt=prompt,
                scores=store.blobs.put_parts(count.counted(lines)),
                unscored=count.unscored,
                results=tuple(count.results()),
            )
            report = RunReport(
                run=run,
                started_at=log.started or store.clock(),
                duration_s=time.monotonic() - began,
                cpu_s=time.process_time() - cpu,
                facts={"items": len(items), "unscored": evaluation.unscored, "in_log": len(by_item)},
            )
            made, _ = store.put_many([evaluation, report])
            facts = {"evaluation": made, "items": len(items), "unscored": evaluation.unscored}
            store.append("run.finished", run, facts)
    total = next(iter(store.get(made, Evaluation).results), None)
    return Evidence(
        evaluation=made,
        fresh=not known,
        tool=log.header.tool,
        version=log.header.version,
        task=log.header.task,
        model=model,
        metric=log.metric,
        started=log.started,
        suite=store.get(suite, Suite).name,
        new_suite=new,
        paired=len(by_item),
        items=len(items),
        n=total.n if total else 0,
        right=total.right if total else 0,
        value=total.value if total else None,
        low=total.low if total else None,
        high=total.high if total else None,
        unscored=dict(Counter(str(one.reason) for one in scores if one.state == "unscored").most_common()),
        notes=log.header.notes,
    )


def by_another_tool(run: Run) -> bool:
    """Whether another tool did this evaluation."""
    return "log" in run.inputs


def started(run: Run) -> datetime | None:
    """When another tool began an evaluation; None: its log does not say."""
    return parse_time(run.inputs["started"]) if "started" in run.inputs else None


# -- who answered ------------------------------------------------------------------------------------------------------


def _who(store: Store, path: Path, log: Log, claims: Claims) -> tuple[Ref, Ref | None, str]:
    """(base, adapter, name). A log's name of a model proves nothing: without an adapter its weights are unknown."""
    said = log.header.model
    if claims.adapter is None:
        if claims.model and said and not _is(said, {claims.model}):
            raise Unmet(f"{path} is of the model {said}", f"--model {said}", "name it as the log does, or leave it out")
        name = said or claims.model
        if name is None:
            do = "say it: --adapter NAME, or --model NAME for a base"
            raise Unmet(f"{path} does not say which model answered", "the model's name", do)
        return store.put(Base(name=name.rpartition("/")[2] or name, location=name, fingerprint=None)), None, name
    ref = find(store, claims.adapter)
    record = store.get(ref) if isinstance(ref, str) else None
    if isinstance(record, Release):
        ref, record = record.adapter, store.get(record.adapter)
    if not isinstance(record, Adapter):
        raise Unmet(f"{claims.adapter} is no adapter", "an adapter or a release", "see whence model list")
    adapter = Ref(str(ref))
    names = _names(store, adapter, record) | ({claims.model} if claims.model else set())
    if said and not _is(said, names):
        raise Unmet(
            f"{path} is of the model {said}, which is none of the names of {record.name}",
            ", ".join(sorted(names)),
            f"name the adapter that answered, or, if it was this one, say so: --model {said}",
        )
    base = store.get(record.closure, Closure).base
    return base or store.put(Base(name="unknown", location="unknown", fingerprint=None)), adapter, record.name


def _names(store: Store, ref: Ref, adapter: Adapter) -> set[str]:
    """What an adapter is called: itself, its releases and the aliases that point there."""
    mine = {release: made.name for release, made in store.all(Release) if made.adapter == ref}
    pointing = {alias for alias, release in aliases(store).items() if release in mine}
    return {adapter.name, ref, *mine.values(), *(name.rpartition("@")[0] for name in mine.values()), *pointing}


def _is(said: str, names: set[str]) -> bool:
    """Whether a log's name of a model, which may begin with a provider's or a folder's, is one of these."""
    return any(said == name or said.endswith((f"/{name}", f"whence:{name}")) for name in names)


# -- what was asked ----------------------------------------------------------------------------------------------------


def _key(asked: Json, target: Json) -> bytes:
    return encode([question(asked), target])


def question(asked: Json) -> Json:
    """A question as all suites and logs have it: text where there is one turn of a user's."""
    if isinstance(asked, list) and len(asked) == 1 and isinstance(asked[0], dict) and asked[0].get("role") == "user":
        return asked[0].get("content")
    return asked


def _suite(store: Store, path: Path, log: Log, wanted: str | None) -> tuple[Ref, list[Item], dict[str, Answered], bool]:
    """(suite, its items, item → what the log has of it, whether the suite is new).

    A suite of which the log has some items has them all, or the log is of another version of it. Where the log has the
    items of several, it is evidence on the one that it covers most of.
    """
    known, best, alike = current_suites(store), None, list[str]()
    for name, (ref, suite) in known.items():
        if wanted not in (None, name):
            continue
        items = items_of(store, ref)
        found = _paired(items, log.items)
        rank = len(found) == len(log.items), len(found) / max(len(items), 1), suite.scorer != "elsewhere"
        if found and (best is None or rank > best[0]):
            best, alike = (rank, name, ref, items, found), []
        if best and rank == best[0]:
            alike.append(name)
    if len(alike) > 1 and any(one.input is None for one in log.items):
        found_in = f"{path} names items that suites {', '.join(alike)} have"
        raise Unmet(found_in, "one suite", "say which: --suite NAME")
    if best:
        _, name, ref, items, found = best
        if len(found) < len(log.items):
            raise Unmet(
                f"{path} has {len(log.items)} items: {len(found)} are items of suite {name}, "
                f"{len(log.items) - len(found)} are not, and {len(items) - len(found)} of its {len(items)} are missing",
                f"a log of suite {name} as it is now",
                "evaluate on that; or keep the log apart, as evidence on a suite of its own: --suite NAME",
            )
        return ref, items, found, False
    name = wanted or log.header.task
    if name is None:
        raise Unmet(f"no item of {path} is one of a suite on record", "a name for its own", "say it: --suite NAME")
    if name in known:
        raise Unmet(
            f"no item of {path} is one of suite {name}",
            f"its {known[name][1].n} items, with the same question and the same expected answer",
            "evaluate on that; or keep the log apart: --suite NAME",
        )
    unquoted = sum(one.input is None for one in log.items)
    if unquoted:
        raise Unmet(
            f"{path} names {unquoted} items without their question, and they are of no suite on record",
            "names of items of a suite, or `input` in each line",
            f"one of {', '.join(sorted(known))}: --suite NAME" if known else "write down what was asked",
        )
    items = [_item(one) for one in log.items]
    ref = put_suite(store, name, "gate", "elsewhere", items)
    return ref, items, {item.id: one for item, one in zip(items, log.items, strict=True)}, True


def _item(one: Answered) -> Item:
    """Its expected value is absent where the log contradicts itself."""
    return Item(
        id=one.id, input=one.input, expected=one.targets[0] if len(one.targets) == 1 else None, slices=one.slices
    )


def _paired(items: Sequence[Item], answered: Sequence[Answered]) -> dict[str, Answered]:
    """Item → the log's: by question and expected answer, by the question alone where the log does not say what it
    expects, or by name where it quotes no question. Items that are alike are paired in order."""
    by_key: dict[bytes, list[str]] = {}
    for item in items:
        for target in {encode(item.expected): item.expected, b"null": None}.values():
            by_key.setdefault(_key(item.input, target), []).append(item.id)
    by_id, found = {item.id: item for item in items}, dict[str, Answered]()
    for one in answered:
        free = [name for target in one.targets for name in by_key.get(_key(one.input, target), ()) if name not in found]
        if one.input is None and one.id in by_id:
            free, expected = [one.id], by_id[one.id].expected
            if any(target not in (None, expected) for target in one.targets):
                one = replace(one, state="unscored", reason="the log compares it with another answer than the suite")
        if free:
            found[one.id if one.id in free else free[0]] = one
    return found


# -- how it was scored -------------------------------------------------------------------------------------------------


def _asked(log: Log) -> str:
    return (log.header.task or "") + (f", {log.header.shots} shots" if log.header.shots else "")


def _inputs(log: Log) -> dict[str, str]:
    """What such a run is named by; absent is what the log does not say."""
    head = log.header
    said = {
        "tool": head.tool,
        "version": head.version,
        "task": head.task,
        "task_version": head.task_version,
        "metric": log.metric,
        "sampling": encode(dict(head.sampling)).decode() if head.sampling else None,
        "answers": str(log.answers),
        "log": log.sha256,
        "beside": head.beside,
        "model": head.model,
        "started": text_time(log.started) if log.started else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _score(item: Item, one: Answered | None, why: str | None) -> Score:
    """why: it cannot count, whatever the log says."""
    if one is None or why:
        return Score(item=item.id, state="unscored", reason=why or MISSING)
    return Score(item=item.id, state=one.state, reason=one.reason)
