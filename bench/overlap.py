"""Rows per CPU second in which runs of 8 or 13 words of evaluation texts are found, beside what others use.

    python -m bench.overlap [--rows 100000] [--items 2000] [--growth 1000000]

Rows are 40 words and items 45 words of a made vocabulary, by Zipf's law, with capitals, commas and full stops; in one
row of a hundred stand 8 to 20 words of an item in a row. Every way is a process of its own and must find the same rows.
Counted is the CPU time from texts to rows found, with reading the words of both sides and building the index, without
imports. A peer that is not installed (`make bench` installs them) is said and left out. Ways:

- `set`: a Python set of tuples of words by `re`, one text after another.
- polars: words by `str.extract_all`, runs by `shift(…).over(row)`, a semi join with the items' (polars' own threads).
- lm-eval: `Janitor.normalize_string` and `word_ngrams`, as in its `get_train_overlap`; the package has no C++ helper.
- aho: an automaton (pyahocorasick) of the items' runs as strings over the words of a row joined by spaces.

Only whence also says which items, how much of each is covered, and compares words; the others say which rows. The last
table is `leaks`: all tiers, weights and boilerplate.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from bench.machine import alone, describe, peak_kib, version


def texts(rows: int, items: int) -> tuple[list[str], list[str]]:
    """(rows, items)."""
    rng = random.Random(0)
    vocabulary = sorted({"".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 9))) for _ in range(30_000)})
    rng.shuffle(vocabulary)
    draw = np.random.default_rng(0)
    share = 1 / (np.arange(len(vocabulary)) + 3)
    spelt = [word + rng.choice(("", "", "", "", "", ",", ".")) for word in vocabulary]
    pool = [spelt[i] for i in draw.choice(len(spelt), 2_000_000, p=share / share.sum())]
    own = [spelt[i] for i in draw.choice(len(spelt), items * 45, p=share / share.sum())]
    asked = [own[45 * item : 45 * item + 45] for item in range(items)]
    out = []
    for row, start in enumerate(draw.integers(0, len(pool) - 40, rows).tolist()):
        words = pool[start : start + 40]
        if row % 100 == 0:
            length, item = rng.randint(8, 20), rng.choice(asked)
            at = rng.randrange(45 - length)
            words[10 : 10 + length] = item[at : at + length]
        out.append(" ".join(words).capitalize())
    return out, [" ".join(words).capitalize() for words in asked]


def by_whence(rows: list[str], items: list[str], n: int) -> Callable[[], Iterable[int]]:
    from whence.text.grams import Probe

    some, own = pa.array(rows, pa.large_string()), pa.array(items, pa.large_string())
    return lambda: Probe(own, n).probe(some)["row"].to_numpy()


def by_set(rows: list[str], items: list[str], n: int) -> Callable[[], Iterable[int]]:
    def runs(text: str) -> Iterable[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return zip(*(words[at:] for at in range(n)), strict=False)

    def work() -> Iterable[int]:
        known = {run for item in items for run in runs(item)}
        return [row for row, text in enumerate(rows) if not known.isdisjoint(runs(text))]

    return work


def by_polars(rows: list[str], items: list[str], n: int) -> Callable[[], Iterable[int]]:
    import polars as pl

    def runs(some: list[str]) -> Any:
        words = pl.col("text").str.to_lowercase().str.extract_all(r"\w+").alias("word")
        frame = pl.LazyFrame({"text": some}).with_row_index("row").select("row", words).explode("word")
        following = [pl.col("word").shift(-at).over("row") for at in range(n)]
        return frame.select("row", pl.concat_str(following, separator=" ").alias("run")).drop_nulls()

    return lambda: runs(rows).join(runs(items), on="run", how="semi").select("row").collect()["row"].to_list()


def by_lm_eval(rows: list[str], items: list[str], n: int) -> Callable[[], Iterable[int]]:
    from lm_eval.decontamination.janitor import Janitor, word_ngrams

    def work() -> Iterable[int]:
        janitor = Janitor(ngram_n=n)
        for item in items:
            janitor.register_contaminant_python(item)
        known = janitor.dirt_ngrams
        return [
            row
            for row, text in enumerate(rows)
            if any(r in known for r in word_ngrams(janitor.normalize_string(text), n))
        ]

    return work


def by_aho(rows: list[str], items: list[str], n: int) -> Callable[[], Iterable[int]]:
    import ahocorasick

    def spaced(text: str) -> str:
        return " ".join(["", *re.findall(r"\w+", text.lower()), ""])

    def work() -> Iterable[int]:
        automaton = ahocorasick.Automaton()
        for item in items:
            words = spaced(item).split()
            for at in range(len(words) - n + 1):
                automaton.add_word(f" {' '.join(words[at : at + n])} ", 1)
        automaton.make_automaton()
        return [row for row, text in enumerate(rows) if next(islice(automaton.iter(spaced(text)), 1), None)]

    return work


WAYS = {"whence": by_whence, "set": by_set, "polars": by_polars, "lm-eval": by_lm_eval, "aho": by_aho}
PEERS = {"polars": "polars", "lm-eval": "lm_eval", "aho": "pyahocorasick"}
"""Way → the package that it measures."""


def measure(way: str, rows: int, items: int, n: int) -> dict[str, Any]:
    """One way: CPU seconds, rows found, and a digest of which."""
    some, own = texts(rows, items)
    if way == "leaks":
        from whence.text.overlap import leaks

        def work() -> Iterable[int]:
            found = leaks(pa.array(some, pa.large_string()), pa.array(own, pa.large_string()))
            return found["row"].to_numpy()[~found["natural"].to_numpy()]
    else:
        work = WAYS[way](some, own, n)
    before, begun = peak_kib(), time.process_time()
    found = np.unique(np.asarray(work(), np.int64))
    took = time.process_time() - begun
    return {
        "cpu": took,
        "found": len(found),
        "which": hashlib.sha256(found.tobytes()).hexdigest(),
        "mib": (peak_kib() - before) / 1024,
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--growth", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        way, *sizes = args.one
        print(json.dumps(measure(way, *map(int, sizes))))
        return
    print(f"# overlap ({describe()})\n")
    found = {way: version(package) for way, package in PEERS.items()}
    print("  ".join(f"{PEERS[way]} {said or 'not installed'}" for way, said in found.items()) + "\n")
    print(f"| n | way, {args.rows:,} rows, {args.items:,} items | CPU s | rows a CPU second | whence is | rows found |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for n in (8, 13):
        ours: dict[str, Any] = {}
        for way in (way for way in WAYS if found.get(way, "ours")):
            took = alone("bench.overlap", "--one", way, str(args.rows), str(args.items), str(n))
            ours = ours or took
            if took["which"] != ours["which"]:
                raise SystemExit(f"{way} finds {took['found']} rows, whence {ours['found']}, n = {n}")
            per, times = args.rows / took["cpu"], took["cpu"] / ours["cpu"]
            print(f"| {n} | {way} | {took['cpu']:.2f} | {per:,.0f} | {times:.1f}× | {took['found']:,} |", flush=True)
    print("\n| rows | n = 8, CPU s | n = 13, CPU s | leaks, CPU s | leaks, rows a CPU second | leaks, MiB added |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = 10_000
    while rows <= args.growth:
        one, two = (alone("bench.overlap", "--one", "whence", str(rows), str(args.items), n) for n in ("8", "13"))
        all_of = alone("bench.overlap", "--one", "leaks", str(rows), str(args.items), "0")
        per = rows / all_of["cpu"]
        took = " | ".join(f"{one:.2f}" for one in (one["cpu"], two["cpu"], all_of["cpu"]))
        print(f"| {rows:,} | {took} | {per:,.0f} | {all_of['mib']:,.0f} |", flush=True)
        rows *= 10


if __name__ == "__main__":
    main()
