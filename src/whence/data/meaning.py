"""Evaluation items that rows say in other words: candidates by rare words and by the same answer, compared by a
sentence encoder. What shares no telling word with an item and has another answer is no candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.data.leaks import COMPARED, FOUND, LEAST, excess, said_in
from whence.data.removal import question_of
from whence.records import Finding, Json, Ref, Snapshot, Suite
from whence.store import Store, row_set
from whence.store.suites import current_suites
from whence.text import normalise

CHECK = "data.meaning"
CUTS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""how alike is much: cosines"""
CANDIDATES = 5
"""rows of an item, and as many again with its answer"""
ENOUGH = 30
"""rows compared; of fewer nothing is known of what is usual"""


class Embeds(Protocol):
    """What is asked of an encoder."""

    def embed(self, texts: Sequence[str], told: Callable[[int], None] = ...) -> npt.NDArray[np.float32]:
        """A unit vector of each text."""


def meant(
    store: Store, thing: Ref, encoder: Embeds, told: Callable[[str, int, int], None] = lambda *_: None
) -> Iterator[Finding]:
    """A finding a suite: it fails where more items have a row that means much the same than rows have another one
    (`LEAST`), and names these rows; what stands there with the same words is the check ``data.leaks``. told: (suite,
    texts encoded, in all). Raises Unmet without the extra ``checks``."""
    snapshot = store.get(thing)
    if not isinstance(snapshot, Snapshot):
        return
    rows = said_in(store, snapshot)
    for ref, suite in current_suites(store).values():
        items = store.get_lines(suite.items)
        yield _finding(store, thing, ref, suite, items, rows, encoder, partial(told, suite.name))


def _finding(
    store: Store,
    thing: Ref,
    ref: Ref,
    suite: Suite,
    items: Sequence[Json],
    rows: pa.Table,
    encoder: Embeds,
    told: Callable[[int, int], None],
) -> Finding:
    ordinals, asked, of_rows, families, _ = (column.to_pylist() for column in rows.columns)
    compared = range(0, len(asked), max(1, -(-len(asked) // min(max(1, len(items)), COMPARED))))
    put = [question_of({"prompt": item.get("input")}) for item in items] + [asked[at] for at in compared]
    answers = [normalise(str(item.get("expected") or "")) for item in items]
    answers += [of_rows[at] for at in compared]
    pairs = _pairs(put, asked, answers, of_rows)
    own = {len(items) + n: families[at] for n, at in enumerate(compared)}
    words = {text: normalise(text) for text in {*put, *asked}}
    pairs = [
        (item, row) for item, row in pairs if own.get(item) != families[row] and words[put[item]] != words[asked[row]]
    ]
    texts = list(dict.fromkeys(text for item, row in pairs for text in (put[item], asked[row])))
    at, vectors = {text: n for n, text in enumerate(texts)}, encoder.embed(texts, lambda done: told(done, len(texts)))
    best = dict[int, tuple[float, int]]()
    for item, row in pairs:
        alike = float(vectors[at[put[item]]] @ vectors[at[asked[row]]])
        best[item] = max(best.get(item, (-1.0, -1)), (alike, row))
    close = [best[n][0] for n in range(len(items)) if n in best]
    usual = [best[n][0] for n in range(len(items), len(put)) if n in best]
    p, cut = min((excess(close, len(items), usual, len(compared), cut), cut) for cut in CUTS)
    p = min(1.0, p * len(CUTS))
    hits = [
        {
            "suite": ref,
            "ordinal": ordinals[row],
            "place": None,
            "item": str(items[n]["id"]),
            "tier": "meaning",
            "coverage": alike,
            "bits": 0.0,
            "same_answer": bool(answers[n]) and of_rows[row] == answers[n],
            "looked": False,
            "short": False,
        }
        for n, (alike, row) in sorted(best.items())
        if n < len(items) and alike >= cut
    ]
    table = pa.Table.from_pylist(hits, FOUND)
    leaked = p < LEAST
    more, others = len(hits), sum(alike >= cut for alike in usual)
    return Finding(
        check=CHECK,
        about=thing,
        verdict="fail" if leaked else "pass" if len(compared) >= ENOUGH else "abstain",
        severity="high" if suite.role == "gate" else "low",
        message=f"{suite.name}: {more} of {len(items)} items have a row that means much the same in other words "
        f"(cosine of {cut} or more), and {others} of {len(compared)} rows have another such row, p {p:.2g}",
        statistic=float(more),
        n=len(items),
        p=p,
        evidence=(store.put_table(table),) if hits else (),
        rows=store.put_set(row_set(one["ordinal"] for one in hits)) if leaked else None,
    )


def _pairs(
    put: Sequence[str], asked: Sequence[str], answers: Sequence[str], of_rows: Sequence[str]
) -> list[tuple[int, int]]:
    from whence.text.closest import closest  # noqa: PLC0415  (numba, which is an extra)

    numbers = {answer: n for n, answer in enumerate(dict.fromkeys([*answers, *of_rows])) if answer}
    kinds = [[numbers.get(answer, -1) for answer in side] for side in (answers, of_rows)]
    found = closest(
        pa.array(put, pa.large_string()), pa.array(asked, pa.large_string()), CANDIDATES + 1, (kinds[0], kinds[1])
    )
    return list(zip(found["item"].to_pylist(), found["row"].to_pylist(), strict=True))
