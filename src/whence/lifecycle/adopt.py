"""An adapter that exists → the record: what its folder proves, what people declare, and what is missing.

Nothing is assumed. A base that a person names is *declared*, one that the sidecar names was *seen in training*. Rows
come in whatever their rights are, because the adapter was trained on them already; checks say what is wrong with that.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from whence import data, govern, register, serve
from whence.lineage import find
from whence.models import (
    Bond,
    Held,
    bond_of,
    bond_to,
    check_binding,
    hold,
    load_base,
    put_tensors,
)
from whence.models.binding import passed_over
from whence.project import guessed
from whence.records import (
    Adapter,
    Base,
    Closure,
    Conflict,
    Deployment,
    ForeignRecipe,
    Ref,
    Release,
    Run,
    RunReport,
    Snapshot,
    Source,
    Unmet,
)
from whence.register import Fact, Folder
from whence.store import RowSet, Store, row_set

Progress = Callable[[str, int, int], None]
"""(what is under way, done, total)."""
OUT = re.compile(r"checkpoint-\d+|adapter|final|lora|out(put)?|model|last|best")
"""Names of folders that say nothing; the folder above is asked then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a person says about an adapter."""

    name: str | None = None
    """what to call it; None: its folder's name"""
    versions: bool = False
    """whether a registry keeps several under this name"""
    base: str | None = None
    """folder or hub id of the base that it was trained on"""
    data: Sequence[Path] = ()
    """files of rows that it was trained on"""
    licence: str | None = None
    """of these rows, as an SPDX expression"""
    consent_basis: str | None = None
    """why people's rows among them may be used"""
    live: str | None = None
    """address at which somebody else serves it"""
    since: datetime | None = None
    """from when; None: now"""
    merged_from: Sequence[str] = ()
    """adapters or releases that it was merged from"""
    distilled_from: Sequence[str] = ()
    """adapters or releases that it was distilled from"""
    base_name: str | None = None
    """what a registry calls its base; a name proves nothing"""
    recipe: ForeignRecipe | None = None
    """what a registry says of its training"""
    code_commit: str | None = None
    """of the code that trained it, as a registry has it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """An adapter that is in the record now."""

    adapter: Ref
    """digest"""
    name: str
    fresh: bool
    """whether anything was new"""
    facts: tuple[Fact, ...]
    """what is proven, claimed and missing"""
    notes: tuple[str, ...]
    """what a person should know: files not opened, rows that match in part …"""
    release: Ref | None
    """under which it is in service"""
    deployment: Ref | None
    """the one that was declared"""


def adopt(store: Store, folder: Path, claims: Claims, told: Progress = lambda *_: None) -> Adopted:
    """Bring in an adapter's folder, and what is claimed about it. Said again with more claims, it is recorded anew and
    takes the place of what was recorded before; said again unchanged, nothing happens.

    Raises Unmet for a folder or claim that cannot be true, Conflict for a name that another adapter has.
    """
    if any((claims.base, claims.live, claims.data, claims.merged_from, claims.distilled_from)):
        store.person()
    before = store.head()
    with hold(folder) as held:
        told("reading the adapter", 0, 0)
        found = register.read_folder(held)
        earlier = register.known(store, found.weights, found.config)
        old = earlier[1] if earlier else None
        name = _name(store, folder, claims, found, old)
        base, bond = _base(store, held, claims, found, old)
        rows, runs, notes = _rows(store, claims, old, told)
        notes += _odd(found)
        if old is not None and store.get(old.run, Run).activity == "train":
            assert earlier is not None
            ref, notes = earlier[0], [*notes, f"it was trained here: run {old.run[7:19]}; its closure stays as it is"]
        else:
            snapshot = _snapshot(store, name, rows, runs, old)
            told_before = store.get(old.closure, Closure) if old else None
            made = Closure(
                base=base,
                snapshot=snapshot,
                recipe=store.put(_recipe(store, claims, found, old)),
                code_commit=claims.code_commit or (told_before.code_commit if told_before else None),
                code_clean=None,
                environment=None,
                composed_of=_models(store, claims.merged_from) or (told_before.composed_of if told_before else None),
                teachers=_models(store, claims.distilled_from) or (told_before.teachers if told_before else None),
            )
            ref = _record(store, name, held, found, made, bond, earlier)
    notes += _rights(store, ref, claims)
    notes += register.leave_sidecar(store, store.get(ref, Adapter), folder, bond)
    release, deployment = _serving(store, ref, name, earlier[0] if earlier else None, claims)
    return Adopted(
        adapter=ref,
        name=name,
        fresh=store.head() != before,
        facts=tuple(register.completeness(store, ref)),
        notes=tuple(notes),
        release=release,
        deployment=deployment,
    )


def _models(store: Store, names: Sequence[str]) -> tuple[Ref, ...] | None:
    """The adapters that these names, aliases or digests mean. Raises NotFound, Conflict, Unmet."""
    found = []
    for name in names:
        ref = find(store, name)
        record: Any = None if isinstance(ref, int) else store.get(ref)
        if isinstance(record, Release):
            ref, record = record.adapter, store.get(record.adapter)
        if not isinstance(record, Adapter):
            raise Unmet(f"{name} is no adapter", "an adapter or a release, by name or digest", "see whence model list")
        found.append(Ref(str(ref)))
    return tuple(dict.fromkeys(found)) or None


# -- what is claimed ---------------------------------------------------------------------------------------------------


def _name(store: Store, folder: Path, claims: Claims, found: Folder, old: Adapter | None) -> str:
    whole = folder.resolve()
    plain = whole.parent.name if OUT.fullmatch(whole.name) and whole.parent.name else whole.name
    name = claims.name or (old.name if old else re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._") or "adapter")
    others = [a for _, a in store.all(Adapter, name) if (a.weights, a.config) != (found.weights, found.config)]
    if others and not claims.versions and not (old and old.name == name):
        raise Conflict(
            f"another adapter is called {name!r}: its weights are {others[-1].weights[:15]}…, of this one "
            f"{found.weights[:15]}…\n  do: give this one a name of its own: --name"
        )
    return name


def _base(
    store: Store, held: Held, claims: Claims, found: Folder, old: Adapter | None
) -> tuple[Ref | None, Bond | None]:
    """(the base's record, what to bind the adapter to). A base that does not fit is refused."""
    bond = bond_of(store, old) if old else found.bond
    if claims.base is None:
        if old is not None:
            return store.get(old.closure, Closure).base, bond
        if bond and bond.base:
            tensors = put_tensors(store, bond.tensors) if bond.tensors else None
            name = bond.name or "unnamed"
            return store.put(Base(name=name, location=name, fingerprint=bond.base, tensors=tensors)), bond
        called = claims.base_name or found.settings.get("base_model_name_or_path")
        if not isinstance(called, str) or not called:
            return None, None
        revision = found.settings.get("revision")
        named = Base(name=Path(called).name, location=called, fingerprint=None, revision=revision)
        return store.put(named), None
    ref = register.register_base(store, claims.base, folder=Path.cwd())
    base = store.get(ref, Base)
    place = load_base(base.location, base.revision, store.root.parent)
    with hold(place) as held_base:
        binding = check_binding(held, held_base, bond)
        if binding.answer not in ("exact", "unknown"):
            raise Unmet(
                f"the adapter was not trained on {claims.base}: {binding.answer}\n    - "
                + "\n    - ".join(reason.says for reason in binding.reasons),
                "the base that it was trained on",
                "name another --base, or leave it out: what is missing is listed then",
            )
        seen = bond.seen if bond and bond.base else "declared"
        return ref, bond_to(held.path, held_base.path, base.name, seen=seen)


def _rows(store: Store, claims: Claims, old: Adapter | None, told: Progress) -> tuple[RowSet, list[Ref], list[str]]:
    """(rows of the files, their ingest runs, notes)."""
    rows, runs, notes = row_set([]), list[Ref](), list[str]()
    for path in claims.data:
        report, run = _ingest(store, path, claims, told)
        mine = store.get_set(report.set) if report.set else row_set([])
        left = ", ".join(f"{code} {count}" for code, count in sorted(report.facts["quarantined"].items()))
        name = store.get(store.get(run, Run).used[0], Source).name
        notes.append(f"{path}: {len(mine):,} rows, source {name}")
        lost = sum(report.facts["quarantined"].values())
        notes += [f"{path}: {lost:,} lines are no rows ({left}): whence data quarantine"] if left else []
        rows |= mine
        runs.append(run)
    govern.search(store, lambda done, total: told("people by what they are called", done, total))
    before = _known_rows(store, old)
    if runs and before:
        same = len(rows & before) or _alike(store, rows, before)
        notes.append(
            f"{same:,} of {len(rows):,} rows of the files are among the {len(before):,} that were on record for this "
            f"adapter; {len(before) - same:,} of those are in none of the files"
        )
    if runs and not rows:
        raise Unmet(
            f"no row could be read from the files: {'; '.join(notes)}",
            "rows with messages, or prompt and completion, and the like: see whence init",
            "look at why: whence data quarantine",
        )
    return rows, runs, notes


def _known_rows(store: Store, old: Adapter | None) -> RowSet:
    closure = store.get(old.closure, Closure) if old else None
    return store.snapshot_rows(store.get(closure.snapshot, Snapshot)) if closure and closure.snapshot else row_set([])


def _alike(store: Store, one: RowSet, other: RowSet) -> int:
    """How many of these rows have the content of one of the others; by digests that are forgotten at once."""

    def digests(rows: RowSet) -> set[bytes]:
        batches = store.scan(["content"], rows)
        texts = (text for batch in batches for text in batch["content"].to_pylist() if text is not None)
        return {hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts}

    return len(digests(one) & digests(other))


def _ingest(store: Store, path: Path, claims: Claims, told: Progress) -> tuple[RunReport, Ref]:
    place = path.resolve()
    source = _source(store, place, claims)
    format, mapping = guessed(place)
    plan = data.Plan(source=source, path=place, format=format, map=mapping, rights="adopted")
    run, _ = data.ingest(
        store, plan, lambda _, subjects, *__: [None] * len(subjects), lambda d, t: told(path.name, d, t)
    )
    report = data.finished(store, run)
    assert report is not None
    return report, run


def _source(store: Store, place: Path, claims: Claims) -> Source:
    """The source that this file is: the one of its location, or a new one with a name that is free."""
    sources = [source for _, source in store.all(Source)]
    mine = [s for s in sources if (store.root.parent / s.location).resolve() == place]
    if mine:
        return replace(
            mine[-1],
            licence=claims.licence or mine[-1].licence,
            consent_basis=claims.consent_basis or mine[-1].consent_basis,
        )
    taken = {source.name for source in sources}
    stem, above = _plain(place.name.split(".")[0]), _plain(place.parent.name)
    wanted = (stem, f"{above}-{stem}", f"{stem}-{hashlib.sha256(str(place).encode()).hexdigest()[:8]}")
    name = next(one for one in wanted if one and one not in taken)
    where = place.relative_to(store.root.parent) if place.is_relative_to(store.root.parent) else place
    claimed = {"licence": claims.licence, "consent_basis": claims.consent_basis}
    return Source(name=name, kind="unknown", location=str(where), **claimed)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")


# -- the record --------------------------------------------------------------------------------------------------------


def _snapshot(store: Store, name: str, rows: RowSet, runs: list[Ref], old: Adapter | None) -> Ref | None:
    """What the adapter is said to be trained on, with what was said before."""
    closure = store.get(old.closure, Closure) if old else None
    before = closure.snapshot if closure else None
    if not runs:
        return before
    parents = [before] if before else []
    whole = rows | _known_rows(store, old)
    if before and whole == _known_rows(store, old):
        return before
    snapshot = Snapshot(
        name=name,
        rows=len(whole),
        root=store.root_of(whole),
        set=store.put_set(whole),
        steps=(),
        parents=(*parents, *runs),
    )
    return store.put(snapshot)


def _recipe(store: Store, claims: Claims, found: Folder, old: Adapter | None) -> ForeignRecipe:
    lora = register.plain_settings(found.settings)
    before: Any = store.get(store.get(old.closure, Closure).recipe or "") if old else None
    if claims.recipe is not None:
        return replace(claims.recipe, lora=claims.recipe.lora or lora)
    if isinstance(before, ForeignRecipe):
        return before
    trainer = "trainer_state.json" if found.state else "adapter_config.json"
    return ForeignRecipe(trainer=trainer, arguments=dict(found.state) or None, lora=lora)


def _record(
    store: Store,
    name: str,
    held: Held,
    found: Folder,
    made: Closure,
    bond: Bond | None,
    earlier: tuple[Ref, Adapter] | None,
) -> Ref:
    started, began, cpu = store.clock(), time.monotonic(), time.process_time()
    inputs = {"name": name, "weights": found.weights, "config": found.config}
    if made.code_commit:
        inputs["code"] = made.code_commit
    models = (*(made.composed_of or ()), *(made.teachers or ()))
    used = tuple(ref for ref in (made.base, made.snapshot, made.recipe, *models) if ref)
    run = store.put(Run(activity="adopt", used=used, inputs=inputs))
    done = store.events("run.finished", about=run, last=True)
    if done:
        return Ref(done[0].data["adapter"])
    place = register.keep(store, held, found)
    seen = bond.base if bond and bond.seen == "in training" else None
    with store.transaction():
        adapter = Adapter(
            name=name,
            closure=store.put(made),
            run=run,
            weights=found.weights,
            config=found.config,
            base=seen,
            location=place,
            bytes=found.bytes,
        )
        facts = {"tensors": found.tensors, "unread": len(found.unread)}
        took = {"duration_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
        report = RunReport(run=run, started_at=started, facts=facts, **took)
        ref, _ = store.put_many([adapter, report])
        store.append("run.finished", run, {"adapter": ref})
        if earlier:
            store.append("adapter.superseded", earlier[0], {"by": ref})
    return ref


def _rights(store: Store, ref: Ref, claims: Claims) -> list[str]:
    """What of its rows may not be used, and what a claim that came too late did not change."""
    notes, rows = [], _known_rows(store, store.get(ref, Adapter))
    if gone := len(rows & govern.withdrawn_rows(store)):
        notes.append(f"{gone:,} of its {len(rows):,} rows may not be trained on any more: whence ask blast-radius")
    if claims.licence and claims.data:
        bare = sum(batch["licence"].null_count for batch in store.scan(["licence"], rows))
        if bare:
            notes.append(
                f"{bare:,} rows were read before without a licence and stay so; the claim stands in their source alone"
            )
    for source in (_source(store, path.resolve(), claims) for path in claims.data):
        kept = govern.unheeded(store, source)
        notes += [govern.unheeded_line(source, licence, len(held)) for licence, held in kept]
    return notes


def _odd(found: Folder) -> list[str]:
    notes, passed = [], passed_over(dict(found.settings))
    if found.unread:
        notes.append(f"not opened, because opening them would run code: {', '.join(found.unread)}")
    if found.settings.get("peft_type") != "LORA":
        notes.append(f"it is a {found.settings.get('peft_type')}; only LORA is checked and served")
    elif passed:
        notes.append(f"not served as it is: PEFT would pass over these keys of its configuration: {', '.join(passed)}")
    return notes


# -- service -----------------------------------------------------------------------------------------------------------


def _serving(store: Store, ref: Ref, name: str, earlier: Ref | None, claims: Claims) -> tuple[Ref | None, Ref | None]:
    """(release, deployment) of what somebody else serves; what was declared of the earlier record moves to this one."""
    moved = _declared(store, earlier) if earlier and earlier != ref else {}
    endpoints = {d.endpoint: d.started_at for d in moved.values()}
    if claims.live:
        endpoints[claims.live] = claims.since or endpoints.get(claims.live) or store.clock()
    mine = [r for r, release in store.all(Release) if release.adapter == ref]
    if not endpoints:
        return (mine[-1] if mine else None), None
    release = mine[-1] if mine else register.in_service(store, name, ref)
    made = {endpoint: serve.declare(store, release, endpoint, since) for endpoint, since in endpoints.items()}
    if moved:
        serve.end(store, moved)
    return release, made.get(claims.live or "")


def _declared(store: Store, adapter: Ref) -> dict[Ref, Deployment]:
    releases = {ref for ref, release in store.all(Release) if release.adapter == adapter}
    found = [(ref, d) for ref, d in store.all(Deployment) if d.release in releases]
    return {ref: d for ref, d in found if serve.state(store, ref) == "declared"}
