"""Registries of others: what MLflow holds is adopted, what is released here is mirrored into it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whence import register
from whence.lifecycle.adopt import Claims, adopt
from whence.lineage import aliases
from whence.models import adapter_digests
from whence.records import (
    Conflict,
    ForeignRecipe,
    Json,
    Ref,
    Release,
    Unmet,
    WhenceError,
    encode,
    text_time,
)
from whence.register.mirror import TAG, Entry, pages
from whence.store import Store

Progress = Callable[[str, int, int], None]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch
WORD = re.compile(r"[\w.:+-]{1,64}(/[\w.:+-]{1,96})?").fullmatch
"""A word, or the id of something on a hub; no path, no sentence."""
MINE = re.compile(r"user|author|owner|mail|token|secret|password|key|path|dir|file", re.IGNORECASE).search
"""Names of parameters whose values may tell of people, places or secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a registry claims of an adapter's making."""

    name: str
    """what to call it"""
    base: str | None
    """name of the base"""
    recipe: ForeignRecipe | None
    """its parameters"""
    code_commit: str | None
    """of the code that trained it"""


Take = Callable[[Store, Path, Said], Ref]
"""Brings an adapter's folder into the record, once; returns the Adapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What became of one entry of a registry."""

    model: str
    """there"""
    version: str | None
    """there; None: a run that nobody registered"""
    state: str
    """adopted, known (all of it was there), listed (nothing of it on this machine), refused"""
    why: str | None
    """for what is listed or refused"""
    adapter: Ref | None
    release: str | None
    """``NAME@N``"""
    aliases: tuple[str, ...]
    """that point to the release here"""
    base: str | None
    """as claimed"""
    code_commit: str | None
    """as claimed"""
    metrics: Mapping[str, float]
    """as claimed"""
    datasets: tuple[str, ...]
    """``NAME DIGEST``, as claimed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A release that is in a registry."""

    release: str
    changed: bool
    """whether anything was not there before"""


def take_folder(store: Store, folder: Path, said: Said) -> Ref:
    """Adopt a folder with what is claimed of its making; one that is on record stays as it is."""
    known = register.known(store, *adapter_digests(folder))
    if known:
        return known[0]
    claims = Claims(
        name=said.name, versions=True, base_name=said.base, recipe=said.recipe, code_commit=said.code_commit
    )
    return adopt(store, folder, claims).adapter


def import_mlflow(
    store: Store,
    uri: str,
    *,
    experiment: str | None = None,
    take: Take = take_folder,
    progress: Progress = lambda *_: None,
) -> list[Brought]:
    """Adopt every version and run of a tracking server whose adapter lies on this machine, list the others. What is
    there already stays; an alias that points elsewhere is not moved. Raises Unmet, NotFound, BackendFailed."""
    from whence.register.backends.mlflow import Tracking

    found, tracking = [], Tracking(uri)
    for entry in tracking.entries(experiment):
        progress(entry.model[:80], len(found), 0)
        before = store.head()
        try:
            found.append(_bring(store, entry, tracking.uri, take, before))
        except WhenceError as error:
            found.append(_told(entry, "refused", why=str(error)))
    return found


def mirror_mlflow(
    store: Store, uri: str, names: Sequence[str] = (), progress: Progress = lambda *_: None
) -> list[Mirrored]:
    """Write releases (all, where none is named) into a tracking server; what is there stays. Raises NotFound, Unmet,
    BackendFailed."""
    from whence.register.backends.mlflow import Tracking

    wanted, done = list(pages(store, names)), []
    if not wanted:
        raise Unmet("there is no release to mirror", "a release", "make one: whence ship, or whence adopt")
    tracking = Tracking(uri, create=True)
    for page in wanted:
        progress("mirror", len(done), len(wanted))
        done.append(Mirrored(release=page.version_tags[f"{TAG}name"], changed=tracking.write(page)))
    return done


def _bring(store: Store, entry: Entry, uri: str, take: Take, before: tuple[int, str]) -> Brought:
    if entry.folder is None:
        return _told(entry, "listed", why=entry.absent)
    name, release_name = _names(entry)
    _as_tagged(entry)
    recipe = ForeignRecipe(trainer="mlflow", arguments=arguments(entry.params), lora=None) if entry.params else None
    adapter = take(store, entry.folder, Said(name=name, base=entry.base, recipe=recipe, code_commit=entry.commit))
    release = _release(store, release_name, adapter) if release_name else None
    pointed = _aliases(store, entry, name, release) if release else ()
    _note(store, adapter, entry, uri)
    state = "known" if store.head() == before else "adopted"
    return _told(entry, state, adapter=adapter, release=release_name, aliases=pointed)


def _names(entry: Entry) -> tuple[str, str | None]:
    """(the adapter's name, its release's). A registered version is in service already: it is a release."""
    said = entry.tags.get(f"{TAG}name") or (f"{entry.model}@{entry.version}" if entry.version else entry.model)
    name = said.rpartition("@")[0] if entry.version else said
    number = said.rpartition("@")[2] if entry.version else "1"
    if not NAME(name) or not re.fullmatch(r"[1-9]\d{0,8}", number):
        raise Unmet("its name is none for a release", "letters, digits, '.', '_', '-'", "rename it there")
    return name, said if entry.version else None


def _as_tagged(entry: Entry) -> None:
    """That a folder is what its tags say. Raises Unmet."""
    weights, config = adapter_digests(entry.folder or Path())
    for what, found in (("weights", weights), ("config", config)):
        said = entry.tags.get(TAG + what)
        if said is not None and said.partition(":")[0] == found.partition(":")[0] and said != found:
            raise Unmet(
                f"the {what} in its folder are not those that were mirrored: {found[:19]}…, its tag says {said[:19]}…",
                "the folder as it was",
                "restore it",
            )


def _release(store: Store, name: str, adapter: Ref) -> Ref:
    """The release of this name. Raises Conflict where another adapter has it."""
    for ref, made in store.all(Release, name):
        if made.adapter == adapter:
            return ref
        raise Conflict(f"{name} is another adapter here: {made.adapter[7:19]}\n  do: nothing was changed")
    with store.transaction():
        ref = store.put(Release(name=name, adapter=adapter, verdict=None))
        store.append("release.made", ref, {"name": name})
    return ref


def _aliases(store: Store, entry: Entry, name: str, release: Ref) -> tuple[str, ...]:
    """Aliases here. MLflow's belong to their model, ours do not: ``champion`` of ``bank`` is ``bank-champion``, unless
    it was mirrored from us. One that points elsewhere stays."""
    ours = f"{TAG}release" in entry.tags
    for alias in entry.aliases:
        said = alias if ours or alias.startswith(name) else f"{name}-{alias}"
        if said not in aliases(store):
            register.move_alias(store, said, release)
    return tuple(sorted(alias for alias, to in aliases(store).items() if to == release))


def _note(store: Store, adapter: Ref, entry: Entry, uri: str) -> None:
    """Keep what was claimed, whole, apart from the record: it may name people."""
    words = {
        "registry": uri,
        "model": entry.model,
        "version": entry.version,
        "run": entry.run,
        "aliases": list(entry.aliases),
        "tags": dict(entry.tags),
        "params": dict(entry.params),
        "metrics": {k: v for k, v in entry.metrics.items() if math.isfinite(v)},
        "datasets": [{"name": d.name, "digest": d.digest, "source": d.source} for d in entry.datasets],
        "who": entry.who,
        "at": text_time(entry.at) if entry.at else None,
    }
    kept = [e.payload for e in store.events("registry.imported", adapter) if e.payload]
    if any(_same(store, payload, words) for payload in kept):
        return
    payload = store.write_words("payload", words)
    store.append("registry.imported", adapter, {"kind": "mlflow"}, entry.at, payload)


def _same(store: Store, payload: str, words: Json) -> bool:
    return encode(store.words(payload)) == encode(words)


def arguments(params: Mapping[str, str]) -> Json:
    """Parameters that the record may hold: numbers, switches and words; no paths, names or sentences."""
    return {k: v for k, said in params.items() if not MINE(k) and len(k) <= 128 and (v := _value(said)) is not None}


def _value(said: str) -> Json:
    if said in ("True", "true", "False", "false"):
        return said.lower() == "true"
    for kind in (int, float):
        try:
            number = kind(said) if len(said) < 40 else math.nan
        except ValueError:
            continue
        return number if math.isfinite(number) and abs(number) < 2**63 else None
    return said if WORD(said) else None


def _told(entry: Entry, state: str, why: str | None = None, **made: Json) -> Brought:
    empty: dict[str, Json] = {"adapter": None, "release": None, "aliases": ()}
    return Brought(
        model=entry.model,
        version=entry.version,
        state=state,
        why=why,
        base=entry.base,
        code_commit=entry.commit,
        metrics=entry.metrics,
        datasets=tuple(f"{d.name} {d.digest}" for d in entry.datasets),
        **empty | made,
    )
