"""CPU seconds, memory, precision and recall of finding near-duplicates, beside rensa, datasketch, datatrove, semhash.

    make .venv/.bench                                                         # brings the peers
    python -m bench.near_duplicates [--rows 100000] [--ways whence rensa …]   # generated texts, truth by all pairs
    python -m bench.near_duplicates --grow 10000 100000 1000000 --ways whence "rensa, our shingles"
    python -m bench.near_duplicates --rows 20000 --opening 60                 # most begin with the same 60 words
    python -m bench.near_duplicates --data banking77 bitext gpteacher         # from WHENCE_DATA

What is asked: which texts have a Jaccard index of word 3-grams of at least 0.7 with an earlier one. Generated are texts
of 20 to 80 words; every fifth is an edited copy of an earlier one, of an index between 0.4 and 1. Truth is a join of
all pairs over Python sets, by prefix filtering (Bayardo, Ma and Srikant, 2007). Every way is a process of its own,
which reads the same file; reading it and importing libraries is not counted, making shingles is.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.machine import alone, describe, peak_kib, version
from bench.mentions import vocabulary

THRESHOLD, WIDTH = 0.7, 3
WORD = re.compile(r"\w+")
"""The words of `whence.text.words` too, as long as no text is in a script without spaces."""
RHO_BANDS = 16
"""of 8 values: rensa's rho with our shingles is given what its own bench gives it, and twice the bands"""


def generated(count: int) -> Iterator[str]:
    """Texts; every fifth is a copy of an earlier one with some of its words exchanged."""
    rng, known = random.Random(count), vocabulary()
    pool = rng.choices(known, [1 / (rank + 3) for rank in range(len(known))], k=1_000_000)
    bases: list[list[str]] = []
    for number in range(count):
        if number % 5 == 4:
            base = list(bases.pop(rng.randrange(len(bases))))
            alike = rng.uniform(0.4, 1)
            exchanged = round(len(base) * (1 - alike) / (1 + alike) / WIDTH)
            for at in rng.sample(range(len(base)), exchanged):
                base[at] = rng.choice(known)
        else:
            base = rng.choices(pool, k=rng.randint(20, 80))
            bases = [*bases[-999:], base]
        yield " ".join(base).capitalize() + "."


def opened(texts: Iterator[str], length: int) -> Iterator[str]:
    """The same, seven of ten behind one of five openings of so many words."""
    rng, known = random.Random(length), vocabulary()
    openings = [" ".join(rng.choices(known, k=length)) for _ in range(5)]
    for text in texts:
        yield f"{rng.choice(openings)} {text}" if length and rng.random() < 0.7 else text


def real(name: str) -> list[str]:
    """Texts of a set in WHENCE_DATA."""
    folder = Path(os.environ.get("WHENCE_DATA", "../shared/data"))
    if name == "gpteacher":
        rows = json.loads((folder / "gpteacher/toolformer-dedupe-only.json").read_text(encoding="utf-8"))
        return [f"{row['instruction']} {row['input']} {row['output']}" for row in rows]
    file, field = {
        "banking77": ("banking77/train.jsonl", "text"),
        "bitext": ("bitext_support/responses_v1_generated.jsonl", "response"),
    }[name]
    return [json.loads(line)[field] for line in (folder / file).read_text(encoding="utf-8").splitlines()]


def shingled(text: str) -> set[str]:
    """Word 3-grams as users make them: what `whence.text.near.shingles` hashes."""
    found = WORD.findall(text.lower())
    return {" ".join(found[at : at + WIDTH]) for at in range(max(1, len(found) - WIDTH + 1))} if found else set()


def truth(texts: list[str]) -> dict[tuple[int, int], float]:
    """All pairs of an index of at least the threshold, and the index."""
    sets = [shingled(text) for text in texts]
    known = Counter(one for own in sets for one in own)
    index, found = defaultdict[str, list[int]](list), {}
    for right, own in enumerate(sets):
        rarest = sorted(own, key=lambda one: (known[one], one))[: len(own) - int(THRESHOLD * len(own) - 1e-9)]
        for left in {row for one in rarest for row in index[one]}:
            if min(len(own), len(sets[left])) >= THRESHOLD * max(len(own), len(sets[left])) - 1e-9:
                both = len(own & sets[left])
                alike = both / (len(own) + len(sets[left]) - both)
                if alike >= THRESHOLD:
                    found[left, right] = alike
        for one in rarest:
            index[one].append(right)
    return found


def whence(texts: pa.Array) -> np.ndarray:
    """near_duplicates(texts)"""
    from whence.text.near import near_duplicates

    return near_duplicates(texts, THRESHOLD, n=WIDTH)["right"].unique().to_numpy()


def whence_daft(texts: pa.Array) -> np.ndarray:
    """near_duplicates_of(frame), Daft's native runner: the same kernels, equal results"""
    os.environ["DAFT_ANALYTICS_ENABLED"] = "0"
    import daft

    from whence.text.backends.daft_engine import near_duplicates_of

    frame = daft.from_arrow(pa.table({"id": np.arange(len(texts)), "text": texts}))
    return near_duplicates_of(frame, THRESHOLD, n=WIDTH)["right"].unique().to_numpy()


def rensa_users(texts: pa.Array) -> np.ndarray:
    """RMinHashDeduplicator(threshold, num_perm=128, use_lsh=True).add_pairs, word 3-grams made in Python"""
    from rensa import RMinHashDeduplicator

    dedup = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
    kept = dedup.add_pairs((str(i), list(shingled(text))) for i, text in enumerate(texts.to_pylist()))
    return np.flatnonzero(~np.array(kept, bool))


def rensa_words(texts: pa.Array) -> np.ndarray:
    """the same on text.split(), as its README has it: sets of words, another question"""
    from rensa import RMinHashDeduplicator

    dedup = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
    kept = dedup.add_pairs((str(i), text.split()) for i, text in enumerate(texts.to_pylist()))
    return np.flatnonzero(~np.array(kept, bool))


def rensa_rho(texts: pa.Array) -> np.ndarray:
    """RMinHash.digest_matrix_from_token_sets_rho and RMinHashLSH, 16 bands, word 3-grams made in Python"""
    from rensa import RMinHash, RMinHashLSH

    matrix = RMinHash.digest_matrix_from_token_sets_rho([list(shingled(text)) for text in texts.to_pylist()], 128, 42)
    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=128, num_bands=RHO_BANDS)
    return np.flatnonzero(np.array(lsh.query_duplicate_flags_matrix_one_shot(matrix), bool))


def rensa_ours(texts: pa.Array) -> np.ndarray:
    """RMinHash.digest_matrix_from_flat_token_hashes and RMinHashLSH, 16 bands of 8, our shingles"""
    return _rensa_flat(texts, "digest_matrix_from_flat_token_hashes")


def rensa_ours_rho(texts: pa.Array) -> np.ndarray:
    """RMinHash.digest_matrix_from_flat_token_hashes_rho and RMinHashLSH, 16 bands of 8, our shingles"""
    return _rensa_flat(texts, "digest_matrix_from_flat_token_hashes_rho")


def _rensa_flat(texts: pa.Array, sketch: str) -> np.ndarray:
    from rensa import RMinHash, RMinHashLSH

    from whence.text.sketches import shingles
    from whence.text.words import columns, words

    hashes, offsets = columns(shingles(words(texts), WIDTH))
    matrix = getattr(RMinHash, sketch)(hashes, offsets.astype(np.uint64), 128, 42)
    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=128, num_bands=RHO_BANDS)
    return np.flatnonzero(np.array(lsh.query_duplicate_flags_matrix_one_shot(matrix), bool))


def datasketch(texts: pa.Array) -> np.ndarray:
    """MinHash(128).update_batch and MinHashLSH(threshold).query, insert; word 3-grams made in Python"""
    from datasketch import MinHash, MinHashLSH

    lsh, found = MinHashLSH(threshold=THRESHOLD, num_perm=128), []
    for i, text in enumerate(texts.to_pylist()):
        own = MinHash(num_perm=128)
        own.update_batch([one.encode() for one in shingled(text)])
        if lsh.query(own):
            found.append(i)
        lsh.insert(str(i), own)
    return np.array(found, np.int64)


def datatrove(texts: pa.Array) -> np.ndarray:
    """MinhashDedupSignature to -Filter, 3-grams, 14 buckets of 8; words by str.split for spaCy, sha1 for xxhash < 4"""
    import datatrove.pipeline.dedup.minhash as m
    from datatrove.data import Document

    class Spaces:
        def word_tokenize(self, text: str) -> list[str]:
            return text.split()

    m.load_word_tokenizer = lambda language: Spaces()
    config = m.MinhashConfig(n_grams=WIDTH, hash_config=m.HashConfig(hash_fc="sha1"))
    documents = [Document(text=text, id=str(i)) for i, text in enumerate(texts.to_pylist())]
    with tempfile.TemporaryDirectory() as tmp:
        list(m.MinhashDedupSignature(f"{tmp}/signatures", config).run(iter(documents)) or ())
        for bucket in range(config.num_buckets):
            m.MinhashDedupBuckets(f"{tmp}/signatures", f"{tmp}/buckets", config=config).run(
                rank=bucket, world_size=config.num_buckets
            )
        m.MinhashDedupCluster(f"{tmp}/buckets", f"{tmp}/removed", config=config).run()
        kept = {int(d.id) for d in m.MinhashDedupFilter(f"{tmp}/removed").run(iter(documents))}
    return np.array(sorted(set(range(len(texts))) - kept), np.int64)


def semhash(texts: pa.Array) -> np.ndarray:
    """SemHash.from_records(…, model).self_deduplicate(0.82); model: our shingles hashed to 256 numbers, not its own"""
    from semhash import SemHash

    from whence.text.sketches import shingles
    from whence.text.words import columns, words

    class Hashing:
        """In the place of its own model, which is to be downloaded. Of sets of equal size, Jaccard .7 is cosine .82."""

        def encode(self, inputs: list[str], **_: object) -> np.ndarray:
            hashes, offsets = columns(shingles(words(pa.array(inputs, pa.string())), WIDTH))
            out = np.zeros((len(inputs), 256), np.float32)
            rows = np.repeat(np.arange(len(inputs)), np.diff(offsets))
            np.add.at(out, (rows, hashes % 256), np.where(hashes >> np.uint64(63), 1, -1))
            return out

    records = [{"id": str(i), "text": text} for i, text in enumerate(texts.to_pylist())]
    done = SemHash.from_records(records, columns=["text"], model=Hashing()).self_deduplicate(threshold=0.82)
    return np.array(sorted(int(one.record["id"]) for one in done.filtered), np.int64)


JOINED: list[str] = []
WAYS: dict[str, Callable[[pa.Array], np.ndarray]] = {
    "whence": whence,
    "whence, Daft": whence_daft,
    "rensa": rensa_users,
    "rensa rho": rensa_rho,
    "rensa, our shingles": rensa_ours,
    "rensa rho, our shingles": rensa_ours_rho,
    "rensa, README": rensa_words,
    "datasketch": datasketch,
    "datatrove": datatrove,
    "semhash": semhash,
}


def measure(way: str, file: str) -> dict[str, object]:
    """CPU seconds and what was found, in this process; what must be imported and compiled is, before the clock runs."""
    texts = pq.read_table(file)["text"].cast(pa.large_string()).combine_chunks()
    WAYS[way](pa.array(["some words to begin with", "some words to begin with", "and others"]))
    before = peak_kib()
    begun = time.process_time()
    found = WAYS[way](texts)
    took = time.process_time() - begun
    np.save(f"{file}.{way}.npy", found)
    return {"cpu_s": took, "mib": peak_kib() / 1024, "before_mib": before / 1024}


def report(
    folder: Path, name: str, texts: pa.Array, ways: list[str], wanted: dict[tuple[int, int], float] | None
) -> None:
    """One line a way."""
    file = str(folder / f"{name}.parquet")
    pq.write_table(pa.table({"text": texts}), file)
    best: dict[int, float] = {}
    ours: set[int] | None = None
    for (_, right), alike in (wanted or {}).items():
        best[right] = max(best.get(right, 0), alike)
    for way in ways:
        try:
            took = alone("bench.near_duplicates", "--one", way, file)
        except SystemExit as failed:
            print(f"| {name} | {way} | failed: {str(failed).splitlines()[-1]} |", flush=True)
            continue
        found = set(np.load(f"{file}.{way}.npy").tolist())
        if way.startswith("whence"):
            ours = found if ours is None else ours
            assert found == ours, "two ways to run the same kernels differ"
            assert wanted is None or found <= best.keys(), "a pair that is none"
        cells = [name, way, f"{took['cpu_s']:.1f}", f"{took['cpu_s'] / len(texts) * 1e6:.1f}", f"{took['mib']:,.0f}"]
        cells.append(f"{len(found):,}")
        if wanted is not None:
            right = len(found & best.keys())
            cells.append(f"{right / len(found):.4f}" if found else "")
            for low, high in ((0.7, 0.8), (0.8, 0.9), (0.9, 1.1), (0.7, 1.1)):
                due = {row for row, alike in best.items() if low <= alike < high}
                cells.append(f"{len(found & due) / len(due):.4f}" if due else "")
        print("| " + " | ".join(cells) + " |", flush=True)
    if wanted:
        from whence.text.near import clusters, near_duplicates

        pairs = near_duplicates(texts, THRESHOLD, n=WIDTH)
        own = clusters(len(texts), pairs).to_numpy()
        returned = wanted.keys() & set(zip(pairs["left"].to_pylist(), pairs["right"].to_pylist(), strict=True))
        joined = sum(own[left] == own[right] for left, right in wanted)
        JOINED.append(f"{name}: {len(wanted):,} true pairs, {len(returned):,} returned, {joined:,} joined by clusters")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--opening", type=int, default=0, help="words with which most texts begin")
    parser.add_argument("--grow", type=int, nargs="+")
    parser.add_argument("--data", nargs="+", choices=("banking77", "bitext", "gpteacher"))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one)))
        return
    print(f"# near-duplicates ({describe()})\n")
    for peer in ("rensa", "datasketch", "datatrove", "semhash", "daft"):
        print(f"{peer} {version(peer) or 'not installed'}", end="  ")
        if not version(peer):
            args.ways = [way for way in args.ways if peer not in way.lower()]
    print("\n\n| texts | way | CPU s | µs a text | peak MiB | found | precision | recall .7–.8 | .8–.9 | .9–1 | all |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as tmp:
        if args.data:
            for name in args.data:
                texts = real(name)
                report(Path(tmp), name, pa.array(texts), args.ways, truth(texts))
        elif args.grow:
            for rows in args.grow:
                report(Path(tmp), f"{rows:,}", pa.array(generated(rows), pa.large_string()), args.ways, None)
        else:
            texts = list(opened(generated(args.rows), args.opening))
            name = f"{args.rows:,}" + (f", opening {args.opening}" if args.opening else "")
            report(Path(tmp), name, pa.array(texts), args.ways, truth(texts))
    print("\n" + "\n".join(JOINED))
    print("\n" + "\n".join(f"{way}: {call.__doc__}" for way, call in WAYS.items() if way in args.ways))


if __name__ == "__main__":
    main()
