"""Rows that may have to go, each revocable source with an adapter of its own beside the first, or all in a tier.

Which adapter a request is put to is told by what the rows of each ask. The suite is divided by the same rule: the first
adapter answers for the rest, each of the others for what its source teaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from whence import data, evaluate, lineage, train
from whence.models import profile_text
from whence.project import Project
from whence.records import METHODS, Adapter, Closure, Json, Recipe, Ref, Release, Snapshot, Suite, Unmet
from whence.store import RowSet, Store, row_set, to_array
from whence.text import Likeness, Profile, normalise, profile, told_apart


@dataclass(slots=True)
class Made:
    """One adapter on its way to a release, by digest."""

    name: str = ""
    """of its snapshot, and of its releases before the ``@``"""
    snapshot: Ref | None = None
    base: Ref | None = None
    adapter: Ref | None = None
    baseline: Ref | None = None
    candidate: Ref | None = None
    gate: Ref | None = None
    verdict: Ref | None = None
    release: Ref | None = None
    outcome: str | None = None
    """of the verdict: pass, fail or abstain"""

    def resolved(self) -> dict[str, Json]:
        """What each stage came to."""
        return {k: v for k, v in asdict(self).items() if isinstance(v, str) and v and k not in ("name", "outcome")}

    @property
    def waived(self) -> bool:
        """Whether the release stands on a waiver."""
        return self.release is not None and self.outcome != "pass"


LOOKED_AT = 2_000
"""Rows of each side, at most, by which it is told how alike they are."""
ROUTED = 0.5
"""Informedness above which requests are routed. docs/validity.md has what it is for real rows and for drawn ones."""
TWO_NUMBERS = 0.1
"""Informedness below which nobody can tell which items a tier's rows teach: drawn rows stay within 0.05 of 0."""
Split = dict[str, tuple[Ref, tuple[str, ...] | None]]
"""Name of an adapter → (its gate suite, ids of the items that ask what a tier's rows teach)."""


def design(project: Project, store: Store, snapshot: Ref) -> tuple[Literal["routed", "tier"] | None, str]:
    """(how revocable rows of the snapshot are trained, why). None: there are none. Unless the project file says it,
    they are routed where what they ask is told from what the others ask, with informedness above `ROUTED`."""
    late = sources(project, store, snapshot)
    if not late:
        return None, ""
    if project.file.recipe.revocable:
        return project.file.recipe.revocable, "as the project file says"
    if not METHODS[project.file.recipe.method].answers:
        return "tier", "nothing is routed to a model that does not answer"
    rows = store.snapshot_rows(store.get(snapshot, Snapshot))
    mine = store.index().sets["source"].union(late) & rows
    told = _told_apart(store, mine, rows - mine)
    said = f"what they ask tells them from the others with informedness {told:.2f}, routed above {ROUTED}"
    return "routed" if told > ROUTED else "tier", said


def _told_apart(store: Store, some: RowSet, others: RowSet) -> float:
    return told_apart(*(list(train.questions(store, _drawn(rows))) for rows in (some, others)))


def _drawn(rows: RowSet) -> RowSet:
    """At most `LOOKED_AT`, evenly."""
    every = to_array(rows)
    return row_set(every[:: max(1, len(every) // LOOKED_AT)])


def sources(project: Project, store: Store, snapshot: Ref) -> list[str]:
    """Revocable sources with rows in the snapshot, and those of rows made from theirs: they go together. Sorted."""
    rows, index = store.snapshot_rows(store.get(snapshot, Snapshot)), store.index()
    gone = row_set([])
    for name in project.revocable():
        gone |= _of(store, name) & rows
    return [name for name in index.sets["source"].names() if not index.sets["source"].get(name).isdisjoint(gone)]


def _of(store: Store, source: str) -> RowSet:
    """A source's rows and all that was made from them."""
    mine = store.index().sets["source"].get(source)
    return mine | store.index().descendants(mine)


def parts(project: Project, store: Store, first: Made) -> list[Made]:
    """What is to be trained where revocable sources are routed: each with its rows, before them all others'. Raises
    Unmet where there are no others."""
    assert first.snapshot
    whole, found = first.snapshot, [first]
    left = rows = store.snapshot_rows(store.get(whole, Snapshot))
    for source in project.revocable():
        name, mine = f"{first.name}-{source}", _of(store, source) & left
        left = left - mine
        if mine:
            found.append(Made(name=name, snapshot=data.leave_out(store, whole, rows - mine, name)))
    if not left:
        raise Unmet("all rows may have to go", "some that stay", "leave `revocable` out of one of the sources")
    first.snapshot = data.leave_out(store, whole, rows - left)
    return found


def serving(project: Project, store: Store) -> dict[str, Ref]:
    """Name of an adapter → its release that the alias serves now."""
    alias = project.file.serving.alias or project.file.project.name
    first = lineage.aliases(store).get(alias)
    found = [first, *lineage.beside(store, alias)] if first else []
    return {store.get(ref, Release).name.rpartition("@")[0]: ref for ref in found}


def split(store: Store, first: Made, beside: Sequence[Made], suite: Ref) -> Split:
    """The gate suite, divided where there are adapters beside the first; the items that a tier's rows teach told apart
    where there is a tier."""
    items = evaluate.items_of(store, suite)
    if beside:
        whole, every = store.get(suite, Suite), [first, *beside]
        like = Likeness([Profile.from_json(profile_text(store, Ref(str(one.adapter)))) for one in every])
        number = [like.most(normalise(data.question_of({"prompt": item.input}))) for item in items]
        return {
            one.name: (
                evaluate.put_suite(
                    store,
                    f"{whole.name}/{one.name}",
                    "gate",
                    whole.scorer,
                    [item for item, to in zip(items, number, strict=True) if to == place],
                    whole.labels,
                ),
                None,
            )
            for place, one in enumerate(every)
        }
    tier = _recipe(store, Ref(str(first.adapter))).tier
    if tier is None:
        return {first.name: (suite, None)}
    rows = store.snapshot_rows(store.get(Ref(str(first.snapshot)), Snapshot))
    mine = store.index().sets["source"].union(tier.sources) & rows
    if not _told_apart(store, mine, rows - mine) > TWO_NUMBERS:
        return {first.name: (suite, None)}
    sides = [Profile(profile(train.questions(store, _drawn(some))).counts, len(some)) for some in (rows - mine, mine)]
    like = Likeness(sides)
    own = tuple(item.id for item in items if like.most(normalise(data.question_of({"prompt": item.input}))))
    return {first.name: (suite, own)}


def _recipe(store: Store, adapter: Ref) -> Recipe:
    named = store.get(store.get(adapter, Adapter).closure, Closure).recipe
    return store.get(Ref(str(named)), Recipe)
