"""CPU seconds that searching rows for what people are called adds to an ingest, and that one new identifier costs.

    python -m bench.mentions [--rows 100000] [--old 1000000]

Rows are chats of about 330 bytes in words of a made vocabulary; every fifth names somebody by name, e-mail address or
order number. Identifiers are a name, an address and two order numbers a person. Every measurement is a process of its
own; what was planted for the people who are known is counted, and what is found must be that.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from bench.machine import alone, describe, peak_kib

EVERYBODY = 1_000_000
"""people whom rows may name"""


def vocabulary() -> list[str]:
    """20,000 words of letters, the frequent ones first."""
    rng = random.Random(0)
    return ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 9))) for _ in range(20_000)]


def called(person: int) -> dict[str, str]:
    """What this person is called, by kind."""
    rng = random.Random(person)
    first, last = ("".join(rng.choices("abcdefghijklmnoprstuvy", k=6)).capitalize() for _ in range(2))
    return {
        "name": f"{first} {last}",
        "email": f"{first.lower()}.{last.lower()}{person}@example.org",
        "order": f"#W{3_141_593 + 2 * person}",
        "account": f"acc-{27_182_818 + person}",
    }


def write_rows(path: Path, count: int, people: int) -> int:
    """Chats; every fifth row names somebody, every tenth of these somebody of the first `people`. Returns how many."""
    rng, words, planted = random.Random(1), vocabulary(), 0
    weights = [1 / (rank + 3) for rank in range(len(words))]
    pool = rng.choices(words, weights, k=200_000)
    with path.open("w") as file:
        for number in range(count):
            turns = []
            for role, length in (("user", 18), ("assistant", 24)):
                start = rng.randrange(len(pool) - length)
                turns.append({"role": role, "content": " ".join(pool[start : start + length]) + "."})
            if number % 5 == 0:
                mine = people and number % 50 == 0
                person = rng.randrange(people) if mine else rng.randrange(EVERYBODY, 2 * EVERYBODY)
                turns[0]["content"] += f" {called(person)[rng.choice(('email', 'order', 'account'))]}"
                planted += bool(mine)
            file.write(json.dumps({"id": f"r{number}", "messages": turns}) + "\n")
    return planted


def measure(rows: int, people: int, first: bool) -> dict[str, float]:
    """Ingest, with so many people known, four identifiers each; `first`: they are known before the rows come."""
    from whence.data import Plan, ingest
    from whence.govern import Identifier, Mentions, identify, search
    from whence.records import Source
    from whence.store import Store

    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp, "rows.jsonl")
        planted = write_rows(path, rows, people)
        store = Store.open(Path(tmp, ".whence"), create=True, actor="bench@example.org")
        said = [Identifier(subject=f"p{n}", kind=k, value=v) for n in range(people) for k, v in called(n).items()]  # type: ignore[arg-type]
        source = Source(name="rows", kind="human_annotation", location="rows.jsonl", licence="MIT")
        plan = Plan(source=source, path=path, format="jsonl", map={"id": "id"}, rights="none")
        took: dict[str, float] = {}

        def timed(what: str, begun: float) -> None:
            took[what] = time.process_time() - begun

        begun = time.process_time()
        if first and said:
            identify(store, said)
        timed("identify", begun)
        begun = time.process_time()
        ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))
        timed("ingest", begun)
        begun = time.process_time()
        if not first:
            identify(store, said)
        search(store)
        timed("search", begun)
        known = Mentions(store)
        found = sum(len(known.named(store.keys.pseudonym(f"p{n}"))) for n in range(people))
        if found != planted:
            raise SystemExit(f"{found} rows found, {planted} planted")
        begun = time.process_time()
        for n in range(min(people, 100)):
            known.rows(store.keys.pseudonym(f"p{n}"))
        timed("ask", begun)
        store.close()
        return {**took, "found": found, "bytes": path.stat().st_size, "mib": peak_kib() / 1024}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--old", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        rows, people, first = map(int, args.one)
        print(json.dumps(measure(rows, people, bool(first))))
        return
    print(f"# mentions ({describe()})")
    print(f"{'rows':>9} {'people':>7} {'known':<7} {'ingest s':>9} {'search s':>9} {'found':>7} {'peak MiB':>9}")
    for rows, people, first in (
        (args.rows, 0, 1), (args.rows, 3, 1), (args.rows, 2500, 1), (args.rows, 25_000, 1), (args.old, 1, 0),
    ):  # fmt: skip
        took = alone("bench.mentions", "--one", str(rows), str(people), str(first))
        known = "before" if first else "after"
        print(
            f"{rows:>9,} {people:>7,} {known:<7} {took['ingest']:>9.2f} {took['search']:>9.2f} {took['found']:>7,} "
            f"{took['mib']:>9,.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
