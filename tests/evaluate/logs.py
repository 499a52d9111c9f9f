"""Logs for tests: those that the real tools wrote (`fixtures/make_logs.py`), and others made of them."""

from __future__ import annotations

import json
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

FIXTURE = Path(__file__).parents[1] / "fixtures" / "logs.tar.gz"


def unpack(folder: Path) -> Path:
    """The real logs: base.eval, tuned.eval, twice.json, and base/ and tuned/ with lm-eval's two files each."""
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def samples(folder: Path, model: str) -> Path:
    """lm-eval's samples of a model."""
    return next((folder / model).glob("samples_*.jsonl"))


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in values))
    return path


def packed(data: bytes) -> bytes:
    """One frame of zstd."""
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


def archive(path: Path, members: Mapping[str, bytes], method: int = 93, crc: int | None = None) -> Path:
    """A zip with members that are packed already; sizes and checksums are those of what zstd makes of them, 93."""
    body, central = b"", b""
    for name, raw in members.items():
        plain = raw if method == 0 else pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read(1 << 24)
        sizes = (zlib.crc32(plain) if crc is None else crc, len(raw), len(plain))
        local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, method, 0, 0, *sizes, len(name), 0) + name.encode()
        end = (len(name), 0, 0, 0, 0, 0, len(body))
        central += struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 45, 45, 0, method, 0, 0, *sizes, *end) + name.encode()
        body += local + raw
    count = len(members)
    ending = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(central), len(body), 0)
    path.write_bytes(body + central + ending)
    return path


HEADER = {"status": "success", "eval": {"task": "desk", "model": "tuned", "created": "2026-11-22T10:00:00+00:00"}}


def sample(i: int, value: Any = "C", **more: Any) -> dict[str, Any]:
    """As Inspect writes it, without what nobody reads here."""
    held = {
        "id": f"q{i}",
        "epoch": 1,
        "input": f"question {i}",
        "target": "card lost",
        "scores": {"exact": {"value": value}},
    }
    return held | {"output": {"completion": "card lost"}} | more


def inspect_log(path: Path, *held: Mapping[str, Any], **header: Any) -> Path:
    """A log of Inspect as JSON."""
    path.write_text(json.dumps(HEADER | header | {"samples": list(held)}))
    return path
