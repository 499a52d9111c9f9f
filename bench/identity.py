"""Does an edit of a training set change its identity? A mutation suite over chat rows, against MLflow's dataset digest.

    python -m bench.identity [--rows 20000] [--edits 300]

Every edit changes one thing in one row: a letter, a role, a tool argument three levels down, a number's type, a turn.
Ours is the snapshot's Merkle root over keyed row ids; one edit of each kind goes through all of ingest and freeze, the
rest through the same digest functions. MLflow's is ``mlflow.data.from_pandas(frame).digest`` of the same rows.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import random
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.machine import describe
from whence.data import CurationPlan, Plan, curate, ingest
from whence.records import Snapshot, Source, content_digest, ids_root, row_id
from whence.store import Store, row_set

Row = dict[str, Any]
Edit = Callable[[Row, random.Random], None]


def chats(count: int, seed: int = 1) -> Iterator[Row]:
    """Chat rows with tools, tool calls with nested arguments, and a decomposed accent."""
    rng = random.Random(seed)
    words = [
        "card",
        "payment",
        "café",
        "transfer",
        "refund",
        "balance",
        "app",
        "branch",
        "limit",
        "fee",
        "currency",
        "account",
    ]
    for i in range(count):
        text = " ".join(rng.choices(words, k=8))
        call = {"name": "look_up", "arguments": {"query": {"ids": [rng.randrange(999), 2], "exact": True}, "limit": 3}}
        yield {
            "id": f"c-{i}",
            "messages": [
                {"role": "system", "content": "You work at a bank."},
                {"role": "user", "content": unicodedata.normalize("NFC", text)},
                {"role": "assistant", "tool_calls": [{"type": "function", "function": call}]},
                {"role": "tool", "content": json.dumps({"found": rng.randrange(9)})},
                {"role": "assistant", "content": f"Done: {text.split()[0]}."},
            ],
        }


def _text(turn: int) -> Edit:
    def edit(row: Row, rng: random.Random) -> None:
        text = row["messages"][turn]["content"]
        at = rng.randrange(len(text))
        row["messages"][turn]["content"] = text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]

    return edit


def _call(row: Row) -> Row:
    found: Row = row["messages"][2]["tool_calls"][0]["function"]
    return found


def _set(where: Callable[[Row], Any], key: Any, value: Callable[[Any], Any]) -> Edit:
    def edit(row: Row, _: random.Random) -> None:
        place = where(row)
        place[key] = value(place[key])

    return edit


def _turns(change: Callable[[list[Any]], Any]) -> Edit:
    return lambda row, _: change(row["messages"])


EDITS: dict[str, Edit] = {
    "a letter of the system turn": _text(0),
    "a letter of the user's turn": _text(1),
    "a letter of the answer": _text(4),
    "a letter of a tool's result": _text(3),
    "a trailing space": _set(lambda r: r["messages"][1], "content", lambda t: t + " "),
    "a capital": _set(lambda r: r["messages"][4], "content", str.upper),
    "the accent's normal form": _set(
        lambda r: r["messages"][1], "content", lambda t: unicodedata.normalize("NFD", t + "é")
    ),
    "a turn's role": _set(lambda r: r["messages"][1], "role", lambda _: "tool"),
    "a tool's name": _set(_call, "name", lambda t: t + "_2"),
    "a nested argument": _set(lambda r: _call(r)["arguments"]["query"]["ids"], 1, lambda n: n + 1),
    "a nested number's type": _set(lambda r: _call(r)["arguments"], "limit", float),
    "a nested truth value": _set(lambda r: _call(r)["arguments"]["query"], "exact", lambda b: not b),
    "a number as text": _set(lambda r: _call(r)["arguments"], "limit", str),
    "a turn dropped": _turns(lambda turns: turns.pop(3)),
    "a turn added": _turns(lambda turns: turns.append({"role": "user", "content": "thanks"})),
    "two turns swapped": _turns(lambda turns: turns.insert(0, turns.pop(1))),
    "the record id": lambda row, _: row.update(id=row["id"] + "x"),
}
"""What is edited → how. Two more, dropping and repeating a whole row, are made in `mutants`."""


def mutants(rows: list[Row], count: int, seed: int = 2) -> Iterator[tuple[str, int, list[Row]]]:
    """(kind, index of the row, the rows with one edit)."""
    rng = random.Random(seed)
    kinds = [*EDITS, "a row dropped", "a row repeated"]
    for n in range(count):
        kind, i = kinds[n % len(kinds)], rng.randrange(len(rows))
        edited = list(rows)
        if kind == "a row dropped":
            del edited[i]
        elif kind == "a row repeated":
            edited.insert(i, {**rows[i], "id": rows[i]["id"] + "-again"})
        else:
            edited[i] = copy.deepcopy(rows[i])
            EDITS[kind](edited[i], rng)
        yield kind, i, edited


class Ours:
    """The snapshot's root, by the product's own digest functions; unchanged rows are digested once."""

    def __init__(self, key: bytes) -> None:
        self.key, self.known = key, {}

    def root(self, rows: list[Row]) -> str:
        """Merkle root over row ids."""
        return ids_root(b"".join(sorted(self.leaf(row) for row in rows)))

    def leaf(self, row: Row) -> bytes:
        """One row's id, by identity of the Python object where it is the original."""
        if id(row) not in self.known:
            content = {"shape": "chat", "messages": row["messages"]}
            made = row_id(self.key, "chats", row["id"], content_digest(self.key, content))
            self.known[id(row)] = (row, made)  # the row is kept, so that its address is not reused
        return self.known[id(row)][1]


def through_the_store(rows: list[Row], folder: Path, store: Store) -> str:
    """The same root by ingest and freeze of a file."""
    path = folder / "chats.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    source = Source(name="chats", kind="human_annotation", location=path.name, licence="MIT")
    plan = Plan(source=source, path=path, format="jsonl", map={"id": "id", "messages": "messages"}, rights="none")
    run, _ = ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))
    frozen, _ = curate(
        store, CurationPlan(name="all", ingests=[run], steps=[], withdrawn=row_set([]), groups={}, inputs={})
    )
    return store.get(frozen, Snapshot).root


def main() -> None:
    """Print the table."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    import mlflow.data
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--edits", type=int, default=304)
    args = parser.parse_args()

    def theirs(rows: list[Row]) -> str:
        return str(mlflow.data.from_pandas(pd.DataFrame(rows)).digest)

    rows = list(chats(args.rows))
    with tempfile.TemporaryDirectory() as tmp:
        store = Store.open(Path(tmp) / ".whence", create=True)
        key = store.keys.get("source:chats")
        store.keys.save()
        ours = Ours(key)
        before, before_theirs = ours.root(rows), theirs(rows)
        if through_the_store(rows, Path(tmp), store) != before:
            raise SystemExit("the store's root is not the functions' root: the bench is wrong")
        missed: Counter[str] = Counter()
        missed_theirs: Counter[str] = Counter()
        tried: Counter[str] = Counter()
        cpu = cpu_theirs = 0.0
        for kind, _, edited in mutants(rows, args.edits):
            started = time.process_time()
            root = ours.root(edited)
            if not tried[kind] and through_the_store(edited, Path(tmp), store) != root:
                raise SystemExit(f"the store disagrees with the functions about {kind}")
            cpu, started = cpu + time.process_time() - started, time.process_time()
            digest = theirs(edited)
            cpu_theirs += time.process_time() - started
            tried[kind] += 1
            missed[kind] += root == before
            missed_theirs[kind] += digest == before_theirs
    print(f"# identity: {args.edits} edits of {args.rows:,} chat rows, one edit each ({describe()})")
    print(f"{'edit':<30} {'tried':>6} {'missed by whence':>17} {'by MLflow ' + mlflow.__version__:>17}")
    for kind in tried:
        print(f"{kind:<30} {tried[kind]:>6} {missed[kind]:>17} {missed_theirs[kind]:>17}")
    total, total_theirs = missed.total(), missed_theirs.total()
    print(f"{'all':<30} {tried.total():>6} {total:>17} {total_theirs:>17}")
    raise SystemExit(1 if total else 0)


if __name__ == "__main__":
    main()
