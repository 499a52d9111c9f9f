"""Evaluation items that stand in training rows, and how much of what is planted among these very rows is found."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whence.data.accesses import Brought, Looked, looked, match, matched
from whence.data.near import LABEL_WORDS
from whence.data.removal import answer_of, question_of
from whence.records import Finding, Json, Prompt, Ref, Snapshot, Suite, Unmet, encode, require, sha256, texts
from whence.stats import few_kept
from whence.store import Store, row_set
from whence.store.suites import current_suites
from whence.text import normalise

CHECK = "data.leaks"
VERSION = 3
"""of what is found: another one looks again"""
PLANTED = 100
"""items of each kind that are planted, at most"""
COMPARED = 1000
"""rows that are held against the other rows as if they were items, at most"""
LEAST = 0.001
"""p below which more items have much in common with rows than rows have with one another"""
CUTS = (0.0, 0.7, 0.8, 0.9)
"""how much is much: shares of an item that a row may have of it"""
SHORT = 8
"""words; of a shorter item that stands somewhere whole nothing is known but that people say so"""
WHOLE = ("exact", "normalised")
"""tiers of items that stand in a row as they are, but for case and punctuation"""
FOUND = pa.schema(
    {
        "suite": pa.string(),
        "ordinal": pa.uint64(),
        "place": pa.string(),
        "item": pa.string(),
        "tier": pa.string(),
        "coverage": pa.float64(),
        "bits": pa.float64(),
        "same_answer": pa.bool_(),
        "looked": pa.bool_(),
        "short": pa.bool_(),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What of one suite stands in a snapshot, in prompts and in documents."""

    suite: str
    """its name"""
    role: str
    """gate or dev"""
    items: int
    """of the suite"""
    found: pa.Table
    """suite (its digest), ordinal of the row (none: `place` is a prompt or document), item (its id), tier, coverage,
    bits, same_answer, looked: whether who brought the row had looked at the item before; only then, if everyday; short:
    whether the item has fewer than `SHORT` words"""
    everyday: int
    """items that rows have in common with them no more than is everyday in this data"""
    usual: int
    """of `compared` rows, those that another row has as much in common with"""
    compared: int
    """rows that were held against the others as if they were items"""
    recall: Mapping[str, float]
    """kind of leak → share found of those that were planted among these rows"""
    blind: float
    """share of the items that are too short or too common to be told in any way but whole"""
    whole: int
    """items that stand in a row as they are"""
    short: int
    """of these, short ones, of which no more stand in rows than rows stand in one another"""
    part: int
    """other items of which a row has more than is everyday"""
    answered: int
    """of these, items that a row has with the same answer"""
    known: int
    """of these, items in rows of somebody who had looked at them"""
    p: float
    """the chance that so many or more of the others are there in part, were they drawn like the rows: the smallest of
    that for each of `CUTS`, times their number"""
    placed: int
    """items that stand in prompts or documents word for word; what stands there in part is in `found` only"""
    told: frozenset[int]
    """rows that speak against the snapshot: an item stands in them whole, or in part, where that is not usual"""

    @property
    def verdict(self) -> Literal["pass", "fail", "abstain"]:
        """What these numbers come to."""
        if self.whole > self.short or self.known or self.placed or self.p < LEAST:
            return "fail"
        return "abstain" if not self.compared or (self.part and not self.usual) else "pass"


def _counted(suite: Suite, found: pa.Table, facts: Mapping[str, Any]) -> Leaks:
    pairs = found.to_pylist()
    items = lambda which: {one["item"] for one in pairs if which(one)}  # noqa: E731
    whole = items(lambda one: one["ordinal"] is not None and one["tier"] in WHOLE)
    short = items(lambda one: one["ordinal"] is not None and one["tier"] in WHOLE and one["short"])
    few, twins, others = facts["short"]
    if not twins or few_kept(twins, len(short) + twins, others, few + others) < LEAST:
        short = set()
    part = items(lambda one: one["ordinal"] is not None) - whole
    known = items(lambda one: one["looked"]) - whole
    most = dict.fromkeys(part - known, 0.0)
    for one in pairs:
        if one["item"] in most and one["ordinal"] is not None:
            most[one["item"]] = max(one["coverage"], most[one["item"]])
    left = suite.n - len(whole | known)
    p, cut = min((excess([*most.values()], left, facts["alike"], facts["compared"], cut), cut) for cut in CUTS)
    p = min(1.0, p * len(CUTS))
    least = 0.0 if not facts["alike"] else cut if p < LEAST else 2.0
    return Leaks(
        suite=suite.name,
        role=suite.role,
        items=suite.n,
        found=found,
        whole=len(whole),
        short=len(short),
        part=len(part),
        answered=len(items(lambda one: one["ordinal"] is not None and one["same_answer"]) - whole),
        known=len(known),
        p=p,
        placed=len(items(lambda one: one["ordinal"] is None and one["coverage"] == 1.0)),
        told=frozenset(
            one["ordinal"]
            for one in pairs
            if one["ordinal"] is not None
            and (one["looked"] or (one["item"] not in short if one["tier"] in WHOLE else one["coverage"] >= least))
        ),
        usual=len(facts["alike"]),
        **{name: facts[name] for name in ("everyday", "compared", "recall", "blind")},
    )


def excess(items: Sequence[float], n: int, rows: Sequence[float], compared: int, cut: float) -> float:
    """The chance that of n items so many have this share or more in a row, as `compared` rows have it: Fisher's exact
    test, one-sided."""
    more, usual = (sum(share >= cut for share in shares) for shares in (items, rows))
    return few_kept(usual, more + usual, compared, n + compared) if more else 1.0


def leaks(
    store: Store,
    ref: Ref,
    documents: Mapping[str, str] | None = None,
    progress: Callable[[float, int], None] = lambda *_: None,
) -> Iterator[Leaks]:
    """Every suite against the snapshot and against every prompt, one by one; what was found
    before is not looked for again. documents: place → text, such as what a retriever reads. progress: (suites done,
    suites in all). Raises Unmet without the extra ``checks``."""
    rows: pa.Table | None = None
    suites = current_suites(store).values()
    for number, (name, suite) in enumerate(suites):
        progress(number, len(suites))
        told = lambda share, number=number: progress(number + share, len(suites))  # noqa: E731
        said, also = looked(store, suite.name), _prompts(store, name) | dict(documents or {})
        inputs = sha256(encode([ref, VERSION, said.since, also]))
        facts = matched(store, name, inputs)
        if facts is None:
            rows = rows or said_in(store, store.get(ref, Snapshot))
            facts = _look(name, store.get_lines(suite.items), rows, Brought(store), said, also, told)
            facts["table"] = store.put_table(facts["table"])
            match(store, name, inputs, facts)
        yield _counted(suite, store.get_table(facts["table"]), facts)


SAID = pa.schema(
    {
        "ordinal": pa.uint64(),
        "asked": pa.large_string(),
        "answer": pa.large_string(),
        "family": pa.large_string(),
        "rest": pa.large_string(),
    }
)
"""What each row of a snapshot says. answer: normalised; family: what it has in common with its like, a conversation or
the row that they were made from; rest: what it says beside what it asks, if that is more than a label."""


def said_in(store: Store, snapshot: Snapshot) -> pa.Table:
    """A snapshot's rows by the schema `SAID`."""
    columns, parts = ["ord", "content", "group", "parents"], [SAID.empty_table()]
    for batch in store.scan(columns, store.snapshot_rows(snapshot)):
        rows = zip(*(batch[name].to_pylist() for name in columns), strict=True)
        parts.append(pa.Table.from_pylist([_said(*row) for row in rows], SAID))
    return pa.concat_tables(parts)


def _said(ordinal: int, text: str | None, group: str | None, parents: Sequence[int]) -> dict[str, Json]:
    content = json.loads(text) if text else {}
    said = [*texts(content)]
    asked = question_of(content) or "\n".join(said)
    rest = "\n".join(one for one in said if one and one not in asked)
    return {
        "ordinal": ordinal,
        "asked": asked,
        "answer": normalise(answer_of(content) or ""),
        "family": f"group {group}" if group else f"row {parents[0] if parents else ordinal}",
        "rest": rest if len(rest.split(None, LABEL_WORDS)) > LABEL_WORDS else None,
    }


class _Lines(Sequence[str]):
    """An array of texts as a sequence of them, none made before it is asked for."""

    def __init__(self, array: pa.ChunkedArray) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, at: Any) -> Any:
        return self._array[at].as_py()


def _look(
    suite: Ref,
    items: Sequence[Json],
    rows: pa.Table,
    brought: Brought,
    said: Looked,
    also: Mapping[str, str],
    told_of: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """What is found of one suite: the members of `Leaks` that are measured, and the table."""
    require("checks", "numba")
    from whence.text import overlap  # noqa: PLC0415  (numba, which is an extra)
    from whence.text.planted import KINDS, plant  # noqa: PLC0415

    put = [question_of({"prompt": item.get("input")}) for item in items]
    some = range(0, len(put), max(1, len(put) // PLANTED))
    planted = [(kind, i) for kind in KINDS for i in some]
    ordinals, asked, answers, families, rest = rows.columns
    others = _Lines(asked.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(asked)), 0)))
    made = [text for kind in KINDS for text in plant([put[i] for i in some], kind, others)]
    compared = range(0, len(asked), max(1, -(-len(asked) // min(len(put), COMPARED)))) if put else range(0)
    place = np.concatenate([np.arange(len(asked)), np.flatnonzero(rest.is_valid())])  # text → place of its row
    held = pa.chunked_array([put, *asked.take(pa.array(compared, pa.int64())).chunks], pa.large_string())
    table, about = overlap.look(
        pa.chunked_array([*asked.chunks, *rest.drop_null().chunks, [*made, *also.values()]], pa.large_string()),
        held,
        progress=told_of,
    )
    told = about["part"].to_numpy(zero_copy_only=False)[: len(put)]
    hits, alike, recalled, everyday = list[dict[str, Any]](), dict[int, float](), set[tuple[int, int]](), set[int]()
    brief = [len(text.split()) < SHORT for text in held.to_pylist()]
    twins = set[int]()
    places = list(also)
    for hit in table.to_pylist():
        r, i = hit["row"], hit["item"]
        at = int(place[r]) if r < len(place) else None
        if i >= len(put):
            other = at is not None and families[at] != families[compared[i - len(put)]]
            if other and not hit["natural"] and hit["tier"] in WHOLE:
                twins.add(i)
            elif other and not hit["natural"]:
                alike[i] = max(hit["coverage"], alike.get(i, 0.0))
        elif len(place) <= r < len(place) + len(made):
            if not hit["natural"]:
                recalled.add((r - len(place), i))
        else:
            ordinal = ordinals[at].as_py() if at is not None else None
            knew = ordinal is not None and said.before(str(items[i]["id"]), *brought[ordinal])
            if hit["natural"] and not knew:
                everyday.add(i)
                continue
            answer = answers[at].as_py() if at is not None else ""
            hits.append(
                {
                    "suite": suite,
                    "ordinal": ordinal,
                    "place": None if ordinal is not None else places[r - len(place) - len(made)],
                    "item": str(items[i]["id"]),
                    "tier": hit["tier"],
                    "coverage": hit["coverage"],
                    "bits": hit["bits"],
                    "same_answer": bool(answer) and answer == normalise(str(items[i].get("expected") or "")),
                    "looked": knew,
                    "short": brief[i],
                }
            )
    found, shares = {hit["item"] for hit in hits}, defaultdict[str, list[bool]](list)
    for at, (kind, i) in enumerate(planted):
        shares[kind].append((at, i) in recalled)
    return {
        "table": pa.Table.from_pylist(hits, FOUND),
        "everyday": len([i for i in everyday if str(items[i]["id"]) not in found]),
        "alike": sorted(alike.values()),
        "compared": len(compared),
        "short": [sum(brief[: len(put)]), sum(brief[i] for i in twins), sum(brief[len(put) :])],
        "recall": {kind: float(np.mean(one)) for kind, one in shares.items()},
        "blind": 1 - float(np.mean(told)) if len(put) else 0.0,
    }


def _prompts(store: Store, suite: Ref) -> dict[str, str]:
    """What every prompt on record says: its own words, and its examples where they are of another suite."""
    said, items = dict[str, str](), dict[Ref, dict[str, str]]()
    for ref, prompt in store.all(Prompt):
        if prompt.text:
            said[f"prompt {ref}"] = prompt.text
        for shot in prompt.shots:
            if shot.suite != suite:
                if shot.suite not in items:
                    lines = store.get_lines(store.get(shot.suite, Suite).items)
                    items[shot.suite] = {str(one["id"]): question_of({"prompt": one.get("input")}) for one in lines}
                said[f"example {shot.item} of prompt {ref}"] = items[shot.suite].get(shot.item, "")  # erased
    return said


def read_documents(paths: Iterable[Path]) -> dict[str, str]:
    """Place → text of these files: of JSON lines (``.jsonl``) each, every other file as a whole. Raises Unmet."""
    found = dict[str, str]()
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8-sig")
            if path.suffix != ".jsonl":
                found[str(path)] = text
                continue
            for number, line in enumerate(text.split("\n"), 1):
                if line.strip():
                    found[f"{path}:{number}"] = "\n".join(_strings(json.loads(line)))
        except (OSError, ValueError, RecursionError) as error:
            said = error.strerror if isinstance(error, OSError) else "is neither UTF-8 text nor JSON lines"
            raise Unmet(f"{path} cannot be read: {said}", "a file of text, or of JSON lines", "name another") from error
    return found


def _strings(value: Json) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _strings(inner)


def leaked(
    store: Store,
    thing: Ref,
    documents: Mapping[str, str] | None = None,
    progress: Callable[[float, int], None] = lambda *_: None,
) -> Iterable[Finding]:
    """Check ``data.leaks``: no evaluation item may stand in training rows or prompts.

    A finding a suite, which says how much of what was planted would have been found. It fails where items stand in
    rows whole (short ones: more often than rows do in one another); or in part, in more rows than rows are like one
    another, or in rows of somebody who had looked at them; or in a prompt or document. It abstains where there is no
    row or no item, and where an item is there in part and no row is as like another."""
    if not isinstance(store.get(thing), Snapshot):
        return
    try:
        require("checks", "numba", "scipy")
    except Unmet as unmet:
        said = "items were not looked for in rows: " + str(unmet).replace("\n  ", "; ")
        yield Finding(check=CHECK, about=thing, verdict="abstain", severity="low", message=said)
        return
    for one in leaks(store, thing, documents, progress):
        rows = row_set(one.told)
        yield Finding(
            check=CHECK,
            about=thing,
            verdict=one.verdict,
            severity="high" if one.role == "gate" else "low",
            message=_message(one),
            statistic=float(one.whole),
            threshold=0.0,
            n=one.items,
            p=one.p,
            evidence=(store.put_table(one.found),) if one.found.num_rows else (),
            rows=store.put_set(rows) if rows else None,
        )


def _message(one: Leaks) -> str:
    placed = f"; {one.placed} stand in prompts or documents word for word" if one.placed else ""
    known = f", {one.known} of them in rows of somebody who had looked at them" if one.known else ""
    short = f" ({one.short} of them short, as often as rows stand in one another)" if one.short else ""
    kinds = sorted(one.recall.items(), key=lambda of: (-of[1], of[0]))
    recall = ", ".join(f"{kind} {share:.0%}" for kind, share in kinds)
    blind = f"; {one.blind:.0%} of the items can be told whole only" if one.blind else ""
    do = "; do: whence data drop --leaks" if one.told else ""
    return (
        f"{one.suite}: of {one.items} items {one.whole} stand in rows whole{short}, {one.part} in part ({one.answered} "
        f"with the same answer{known}; {one.usual} of {one.compared} rows have as much in common with others, "
        f"p {one.p:.2g}), {one.everyday} have no more than is everyday{placed}; "
        f"planted here, found: {recall}{blind}{do}"
    )


GUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
CANARY = f"(?i:canary)[^\\n]{{0,80}}?({GUID})"
"""How benchmarks mark their files, after BIG-bench (Srivastava and others 2022): the word, then a number of its own."""


def canaries(store: Store, thing: Ref) -> Iterable[Finding]:
    """Check ``data.canary``: no row may carry the mark by which a benchmark asks not to be trained on, or a suite's."""
    snapshot = store.get(thing)
    if not isinstance(snapshot, Snapshot):
        return
    own = {
        found for _, suite in store.all(Suite) for found in re.findall(CANARY, store.blobs.get(suite.items).decode())
    }
    pattern = "|".join([CANARY, *sorted(own)])
    rows = row_set([])
    for batch in store.scan(["ord", "content"], store.snapshot_rows(snapshot)):
        rows |= row_set(batch["ord"].filter(pc.match_substring_regex(batch["content"], pattern)).to_pylist())
    said = f"{len(rows):,} of {snapshot.rows:,} rows carry the canary string of a benchmark"
    yield Finding(
        check="data.canary",
        about=thing,
        verdict="fail" if rows else "pass" if snapshot.rows else "abstain",
        severity="high",
        message=said + ("; do: whence data drop --leaks" if rows else ""),
        statistic=float(len(rows)),
        threshold=0.0,
        n=snapshot.rows,
        rows=store.put_set(rows) if rows else None,
    )
