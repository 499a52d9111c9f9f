"""Lines, files and folders of real shapes, most of them mutated."""

from __future__ import annotations

import csv
import functools
import io
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

WILD = 20
"""last elements of a JSON file that may be mutated in their quotes, brackets and commas"""
WORDS = ["card", "refund", "é", "日本", "👍", "a\nb", 'say "hi"', "x,y", "\u2028", "", " ", "{}", "[1]", "null", "\\"]
PIECES = [
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\ud800", b"\\u0000", b"null", b"1e999", b"-0.0", b"NaN",
    b"Infinity", b"9" * 30, b"9" * 5000, b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"\r\n", b"\r",
    b" ", b"\t", b"\x00", b"\x0b", b"\x1c", b"\x7f", b"\xc2\x85", b"[" * 150, b'{"a":' * 150, b"'", b'""', b'",',
    b'{"text": "a"}', b'"id": "same",', b'"text": 5, "text": 6,', b"\x1f\x8b", b"PAR1", "é".encode("latin-1"),
    "é".encode("utf-16"),
]  # fmt: skip
FIELDS = ["text", "messages", "prompt", "completion", "chosen", "rejected", "label", "labels", "completions", "tools",
          "id", "who", "conv", "lic", "lang", "of", "by", "other"]  # fmt: skip


def words(rng: random.Random) -> str:
    """A short text."""
    return " ".join(rng.choices(WORDS, k=rng.randint(0, 5)))


def turns(rng: random.Random) -> list[dict[str, Any]]:
    """A conversation."""
    said = [
        {"role": rng.choice(("user", "assistant", "system")), "content": words(rng)} for _ in range(rng.randint(1, 3))
    ]
    if rng.random() < 0.1:
        said[-1]["tool_calls"] = [{"name": "f", "arguments": {"n": rng.choice((1, 1.0, -0.0, None, True))}}]
    return said


def item(rng: random.Random) -> dict[str, Any]:
    """A record of one of the shapes, with facts."""
    kinds: list[dict[str, Any]] = [
        {"text": words(rng)}, {"messages": turns(rng)}, {"prompt": words(rng), "completion": words(rng)},
        {"chosen": turns(rng), "rejected": turns(rng)}, {"prompt": words(rng), "completion": "c", "label": True},
        {"prompt": "p", "completions": ["a", "b"], "labels": [True, False]}, {"prompt": turns(rng)},
    ]  # fmt: skip
    held = {"id": f"r{rng.getrandbits(40):x}", **rng.choice(kinds)}
    if rng.random() < 0.5:
        held |= {"who": f"p{rng.randrange(9)}", "lang": rng.choice(("de", "en", None))}
    if rng.random() < 0.05:
        held["of"] = [f"r{rng.randrange(100)}"]
    return held


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    plain = [None, True, 0, -1, 2**70, 1.5, -0.0, 1e300, "", words(rng), "\ud800", "x" * 5000, float("nan")]
    if depth < 3 and rng.random() < 0.4:
        inner = [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
        return inner if rng.random() < 0.5 else {rng.choice("abc"): v for v in inner}
    return rng.choice(plain)


def mutated(rng: random.Random, line: bytes) -> bytes:
    """One to three of: a byte flipped, a piece put in, a part cut out or doubled, the end cut off."""
    held = bytearray(line)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(held))
        kind = rng.randrange(5)
        if kind == 0 and held:
            held[at - 1] ^= 1 << rng.randrange(8)
        elif kind == 1:
            held[at:at] = rng.choice(PIECES)
        elif kind == 2:
            del held[at : at + rng.randint(1, 20)]
        elif kind == 3:
            held[at:at] = held[max(0, at - 20) : at]
        else:
            del held[at:]
    return bytes(held)


def json_line(rng: random.Random, calm: bool = False) -> bytes:
    """A record as JSON: as it is, with a field of another type, or mutated; sometimes blank. A calm one keeps its
    quotes, brackets and commas."""
    held, chance = item(rng), rng.random()
    if chance < 0.02:
        return rng.choice((b"", b" ", b"\t"))
    if chance < 0.35:
        for _ in range(rng.randint(1, 2)):
            held[rng.choice(FIELDS)] = value(rng)
    line = json.dumps(held, ensure_ascii=rng.random() < 0.3).encode("utf-8", "surrogatepass")
    if chance < 0.6:
        return line
    other = mutated(rng, line)
    return line if calm and (b"\\" in line + other or _frame(other) != _frame(line)) else other


_frame = functools.partial(re.compile(rb'[^"\[\]{},\n]').sub, b"")


def csv_line(rng: random.Random) -> bytes:
    """A record as CSV, ragged or mutated at times."""
    chance, out = rng.random(), io.StringIO()
    if chance < 0.02:
        return b""
    row = [f"r{rng.getrandbits(40):x}", words(rng), words(rng), f"p{rng.randrange(9)}", rng.choice(("de", ""))]
    if chance < 0.15:
        row = row[: rng.randint(0, 5)] + ["more"] * rng.randint(0, 3)
    csv.writer(out, lineterminator="", quoting=rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))).writerow(row)
    line = out.getvalue().encode()
    return mutated(rng, line) if chance > 0.7 else line


def jsonl_file(rng: random.Random, count: int) -> bytes:
    """Lines of JSON."""
    mark = b"\xef\xbb\xbf" if rng.random() < 0.1 else b""
    return mark + b"".join(json_line(rng) + rng.choice((b"\n", b"\n", b"\r\n")) for _ in range(count))


def csv_file(rng: random.Random, count: int) -> bytes:
    """A header and lines of CSV."""
    ends = (b"\n", b"\n", b"\r\n")
    return b"id,prompt,completion,who,lang\n" + b"".join(csv_line(rng) + rng.choice(ends) for _ in range(count))


def json_file(rng: random.Random, count: int) -> bytes:
    """An array with an element a line. Only the last few are mutated in their quotes, brackets and commas: one too few
    of those can make one element of all that follows."""
    calm = [json_line(rng, calm=True) for _ in range(count - WILD)]
    return b"[" + b",\n".join(calm + [json_line(rng) for _ in range(WILD)]) + b"]"


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes flipped, a piece overwritten, or the end cut off."""
    held = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(len(held), 1))
        kind = rng.randrange(4)
        if kind == 0:
            held[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            held[at : at + 16] = rng.randbytes(16)
        elif kind == 2:
            held[at : at + 8] = rng.choice((b"\xff" * 8, b"\x00" * 8, b"\x7f" * 8))
        elif rng.random() < 0.3:
            del held[at:]
    return bytes(held)


def table(rng: random.Random, count: int) -> pa.Table:
    """Records as columns; types differ from table to table, nulls stand everywhere."""
    kinds = {
        "text": lambda: rng.choice((None, words(rng), "x" * rng.randrange(2000))),
        "messages": lambda: rng.choice((None, [], turns(rng))),
        "prompt": lambda: words(rng),
        "completion": lambda: words(rng),
        "label": lambda: rng.choice((None, True, False)),
        "n": lambda: rng.choice((None, 1, 2**40)),
        "who": lambda: f"p{rng.randrange(9)}",
        "of": lambda: rng.choice((None, [], ["r1"])),
        "lang": lambda: rng.choice((None, "de", "en")),
    }
    chosen = rng.sample(list(kinds), rng.randint(1, len(kinds)))
    made = {name: [kinds[name]() for _ in range(count)] for name in chosen}
    for row in made.get("messages", []):
        for turn in row or ():
            turn.pop("tool_calls", None)
    return pa.table({"id": [f"r{i}" for i in range(count)], **made})


def arrow_file(rng: random.Random, count: int) -> bytes:
    """A Parquet file, two in three damaged."""
    out = io.BytesIO()
    codec = rng.choice(("snappy", "zstd", "gzip", "none"))
    pq.write_table(
        table(rng, count), out, row_group_size=rng.choice((50, 200, 10_000)), compression=codec,
        use_dictionary=rng.random() < 0.5, data_page_version=rng.choice(("1.0", "2.0")),
    )  # fmt: skip
    return damaged(rng, out.getvalue()) if rng.random() < 0.67 else out.getvalue()


def saved_folder(rng: random.Random, folder: Path, count: int) -> Path:
    """A saved data set of one to three shards, two in three damaged."""
    target = folder / "saved"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    held = table(rng, count)
    if rng.random() < 0.3:
        features = {"features": {"n": {"_type": "ClassLabel", "names": ["a", "b"]}}}
        held = held.replace_schema_metadata({"huggingface": json.dumps({"info": features})})
    names = [f"data-{i:05}-of-00003.arrow" for i in range(rng.randint(1, 3))]
    for name in names:
        out = io.BytesIO()
        with pa.ipc.new_stream(out, held.schema) as writer:
            writer.write_table(held, max_chunksize=rng.choice((10, 100, 1000)))
        (target / name).write_bytes(damaged(rng, out.getvalue()) if rng.random() < 0.5 else out.getvalue())
    state = json.dumps({"_data_files": [{"filename": name} for name in names]}).encode()
    (target / "state.json").write_bytes(mutated(rng, state) if rng.random() < 0.1 else state)
    return target
