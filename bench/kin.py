"""What finding rows that are kin to evaluation items costs, and what is found in real data.

    python -m bench.kin speed [--rows 1000000] [--items 5000]
    python -m bench.kin real                                    # reads WHENCE_DATA

`speed`: rows about 200,000 people in 400,000 conversations, one row of 50 made from an earlier one; half of the items
name a person, half a conversation, and 100 of either are in the rows. Counted is the CPU time from the committed rows
to the hits, reading them included. Beside it: the same columns read, and a Python set asked row by row, which must find
the same rows; it says neither items nor rows made from others.

`real`: each line is a snapshot and a suite. What is known is in docs/real-data.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa

from bench.machine import describe, peak_kib
from whence.data import CurationPlan, Plan, curate, ingest
from whence.data.kin import Kin, kin, kin_of
from whence.data.near import NearDuplicate, Pool, decide
from whence.data.removal import Rows
from whence.evaluate import put_suite
from whence.govern import admitter, rights_digest
from whence.records import Item, Snapshot, Source, Suite
from whence.store import Store, batch, row_set
from whence.text.near import near_duplicates

TEST_USERS = """\
019f6362 0355c673 03e33f27 0927161b 0c18cd0e 0fc7361b 17c8f5ea 194be0fb 1e61171c 22be4274 25397c57 2984f352
2aea0d69 3a528cfd 3aff1f6e 3ba43731 3eb4920b 51208e8e 5895639c 5978ca50 5b92d4f2 5dc04b05 63aae44c 693d8f21
6ac8d477 724ddc88 74c1ddfd 7512bb75 78531651 79108da3 7da54324 7e34ba57 88e3a46f 901873fa 945ae32b 9859b25c
a3ccc46b b3b822a3 ba57eb36 bbf9462e bc34a43c be2b23dd be4baeb5 c237a656 c382eb28 c706aaaa c9aba7d7 e3c6268f
ef3c082f f0fef2f3 f331cfa7 f4a8e0df f72ec2e3
"""
"""The 53 users of tau's retail test tasks (tau_bench/envs/retail/tasks_test.py, which is not in WHENCE_DATA): the
beginnings of their ids' SHA-256."""
USER = re.compile(r"\b(?!credit_|gift_)[a-z]+_[a-z]+_\d{4}\b")
PUBLISHED = {1.0: 7673, 0.9: 5959, 0.8: 4709, 0.7: 3487, 0.6: 2396}
"""GPTeacher's rungs: threshold of a measure that is not named → rows."""
Row = dict[str, Any]


def real() -> Path:
    """Where real data lies."""
    return Path(os.environ.get("WHENCE_DATA", "../shared/data"))


def lines(name: str) -> list[Row]:
    """The records of a file of real data."""
    return [json.loads(line) for line in (real() / name).read_text(encoding="utf-8").splitlines()]


def turns(level: str, split: str) -> list[Row]:
    """What customers said in MultiDoGO's finance conversations of a split at a level (turn, sentence)."""
    return [one for one in lines(f"multidogo/finance_{level}_level.jsonl") if one["split"] == split]


def few_shots() -> list[Row]:
    """Tau's worked conversations with the one user that each is about, where it names one."""
    texts = [one["messages_display"] for one in lines("tau_bench/few_shot_MockRetailDomainEnv.jsonl")]
    return [{"text": text, "user": next(iter(USER.findall(text)), None)} for text in texts]


def users(part: str) -> list[str]:
    """Tau's retail users: of the train, dev or test tasks; of none of these (other); all of them."""
    every = list(json.loads((real() / "tau_bench/retail/users.json").read_text(encoding="utf-8")))
    if part == "test":
        return [one for one in every if hashlib.sha256(one.encode()).hexdigest()[:8] in TEST_USERS.split()]
    if part == "other":
        shown = {one["user"] for one in few_shots()}
        return [one for one in every if one not in shown]
    return [one["user_id"] for one in lines(f"tau_bench/retail/tasks_{part}.jsonl")]


def gpteacher() -> list[Row]:
    """GPTeacher's instructions for using tools, with exact copies taken out only."""
    rows = json.loads((real() / "gpteacher/toolformer-dedupe-only.json").read_text(encoding="utf-8"))
    return [{"prompt": f"{one['instruction']} {one['input']}", "completion": one["output"]} for one in rows]


def rungs(store: Store, snapshot: Snapshot) -> Iterator[tuple[float, list[str]]]:
    """(threshold, the texts that the step near_duplicate leaves of a snapshot at it); 1: all."""
    pool = Pool.read(Rows(store, store.snapshot_rows(snapshot), {}))
    for threshold in PUBLISHED:
        step = NearDuplicate(threshold=threshold, action="remove", floor=0)
        gone = decide(pool, step).rows if threshold < 1 else {}
        yield threshold, [text for ordinal, text in zip(pool.ordinals, pool.said, strict=True) if ordinal not in gone]


def alike(texts: list[str], threshold: float) -> float:
    """Share of the texts that have a near-duplicate: another text of a Jaccard index of word 3-grams of `threshold`."""
    pairs = near_duplicates(pa.array(texts), threshold)
    return len({*pairs["left"].to_pylist(), *pairs["right"].to_pylist()}) / len(texts)


def taken(store: Store, folder: Path, rows: list[Row], **map: str) -> Snapshot:
    """A snapshot of these rows."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(name="rows", kind="human_annotation", location="", licence="CC-BY-4.0", consent_basis="consent")
    plan = Plan(source=source, path=path, format="jsonl", map=map, rights=rights_digest(store))
    run, _ = ingest(store, plan, admitter(store))
    made = CurationPlan(name="p", ingests=[run], steps=[], withdrawn=row_set([]), groups={}, inputs={})
    return store.get(curate(store, made)[0], Snapshot)


def asked(store: Store, groups: list[str], **said: str) -> Suite:
    """A gate suite whose items have these groups."""
    items = [Item(id=f"i{n}", input="?", expected="!", group=one) for n, one in enumerate(groups)]
    return store.get(put_suite(store, "gate", "gate", "exact", items, **said), Suite)


def opened(folder: Path) -> Store:
    return Store.open(folder / "store", create=True, actor="bench@example.org")


def found(rows: list[Row], groups: list[str], **map: str) -> tuple[Kin, str]:
    """(what of the rows is kin to items of these groups, the finding's line)."""
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        snapshot, suite = taken(store, Path(folder), rows, **map), asked(store, groups)
        [finding] = kin(store, store.put(snapshot))
        out = kin_of(store, snapshot, suite), f"{finding.verdict:<8} {finding.message}"
        store.close()
    return out


def print_real() -> None:
    test = [one["conversation"] for one in turns("turn", "test")]
    print("rows: MultiDoGO finance train; items: turn-level test, a conversation each\n")
    for level in ("sentence", "turn"):
        _, line = found(turns(level, "train"), sorted(set(test)), text="text", group="conversation")
        print(f"{level}-level train:\n  {line}")
    print("\nrows: tau's few-shot conversations; items: the users of tasks, one each\n")
    shown = few_shots()
    for part in ("test", "train", "dev", "other"):
        _, line = found(shown, sorted(set(users(part))), text="text", subject="user")
        print(f"{part}:\n  {line}")
    drawn = random.Random(0).sample(users("other"), len({one["user"] for one in shown}))
    other = [one | {"user": drawn[n % len(drawn)]} for n, one in enumerate(shown)]
    _, line = found(other, sorted(set(users("test")) - set(drawn)), text="text", subject="user")
    print(f"test, the conversations given to other users:\n  {line}")
    print(
        "\nGPTeacher's rungs\n\n| threshold | rows published | rows left by near_duplicate | of these, with a", end=""
    )
    print(" near-duplicate at .9 | at .8 | at .7 | at .6 |\n| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        for threshold, texts in rungs(store, taken(store, Path(folder), gpteacher())):
            shares = " | ".join(f"{alike(texts, at):.1%}" for at in (0.9, 0.8, 0.7, 0.6))
            print(f"| {threshold} | {PUBLISHED[threshold]:,} | {len(texts):,} | {shares} |")
        store.close()


def filled(store: Store, rows: int) -> None:
    """Rows without content to speak of."""
    draw, part = np.random.default_rng(0), 100_000
    who, talks = draw.integers(0, 200_000, rows), draw.integers(0, 400_000, rows)
    pseudonyms = [store.keys.pseudonym(f"p{n}") for n in range(200_000)]
    with store.writer("bench"):
        for start in range(0, rows, part):
            some = range(start, min(rows, start + part))
            raw, count = [draw.bytes(32) for _ in some], len(some)
            names, parents = [f"r{n}" for n in some], [[int(draw.integers(0, n))] if n % 50 == 49 else [] for n in some]
            head = (raw, ["big"] * count, names, ["prompt"] * count, ['{"prompt":"x","shape":"prompt"}'] * count, raw)
            facts = ([pseudonyms[who[n]] for n in some], [f"t{talks[n]}" for n in some], *[[None] * count] * 2)
            store.add_rows(batch((*head, *facts, parents, [None] * count)), "big")
        store.settle()


def by_set(store: Store, groups: list[str]) -> set[int]:
    """Rows of these people or conversations, one after the other."""
    people, out = {store.keys.pseudonym(one) for one in groups}, set[int]()
    held = set(groups)
    for chunk in store.scan(["subject", "group"]):
        for ordinal, who, talk in zip(*(chunk[name].to_pylist() for name in ("ord", "subject", "group")), strict=True):
            if who in people or talk in held:
                out.add(ordinal)
    return out


def print_speed(rows: int, items: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder))
        filled(store, rows)
        count = items // 2
        groups = [f"p{199_900 + n}" for n in range(count)] + [f"t{399_900 + n}" for n in range(items - count)]
        whole = Snapshot(name="p", rows=rows, root="", set=store.put_set(row_set(range(rows))), steps=())
        suite, none = asked(store, groups), asked(store, ["nobody"] * items)
        copy = asked(store, groups, republishes="big")

        def read() -> None:
            for _ in store.scan(["subject", "group", "inspired_by"]):
                pass

        def timed(work: Callable[[], Any]) -> tuple[float, Any]:
            start = process_time()
            result = work()
            return process_time() - start, result

        store.index()
        table = [("reading the columns", *timed(read)), ("a Python set", *timed(lambda: by_set(store, groups)))]
        table.append(("whence", *timed(lambda: kin_of(store, whole, suite).found)))
        table.append(("whence, nothing to be found", *timed(lambda: kin_of(store, whole, none).found)))
        table.append(("whence, all a copy of the suite's source", *timed(lambda: kin_of(store, whole, copy).found)))
        own = table[2][2].filter(table[2][2]["because"].is_null())
        assert {*own["ordinal"].to_pylist()} == table[1][2]
        print(
            f"# kin of {items:,} items in {rows:,} rows ({describe()})\n\n| | CPU s | rows found |\n| --- | --- | --- |"
        )
        for what, seconds, result in table:
            hits = {*result["ordinal"].to_pylist()} if isinstance(result, pa.Table) else result or ()
            print(f"| {what} | {seconds:.2f} | {len(hits):,} |")
        print(f"\nmost memory: {peak_kib() / 1024:.0f} MiB, making the rows included")
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "real"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=5_000)
    args = parser.parse_args()
    print_real() if args.what == "real" else print_speed(args.rows, args.items)


if __name__ == "__main__":
    main()
