"""Where a text lies in a store's folder and beside it, by readers of the tests' own: nothing of whence's is used.

Row files are decoded version by version and data file by data file, deleted rows included; Arrow files column by
column; every file is also looked through as bytes, as UTF-8 and as JSON spells it. A key file is asked which stored
digests it confirms for a text.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lance
import pyarrow as pa
from lance.file import LanceFileReader


def places(root: Path, text: str) -> list[str]:
    """``FILE: how`` for each place."""
    return sorted({f"{path.relative_to(root)}: {how}" for path, how in _found(root, text)})


def _found(root: Path, text: str) -> Iterator[tuple[Path, str]]:
    spelled = {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    spelled |= {text.encode("utf-16-le"), text.encode("utf-16-be")}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        data = _bytes(path)
        if any(one in data for one in spelled):
            yield path, "bytes"
        lance_file = path.suffix == ".lance"
        if lance_file and _in(LanceFileReader(str(path)).read_all().to_table(), text):
            yield path, "decoded"
        if data[:6] == b"ARROW1" and _in(pa.ipc.open_file(pa.py_buffer(data)).read_all(), text):
            yield path, "decoded"
    for folder in sorted(p.parent for p in root.rglob("_versions")):
        for version in lance.dataset(str(folder)).versions():
            if _in(lance.dataset(str(folder), version=version["version"]).to_table(), text):
                yield folder, f"version {version['version']}"


def _bytes(path: Path) -> bytes:
    """A file's bytes. SQLite's are read by another process: one that closes such a file loses all its locks on it."""
    if path.name.startswith("catalogue.db"):
        return subprocess.run(["cat", path], stdout=subprocess.PIPE, check=True).stdout
    return path.read_bytes()


def _in(table: pa.Table, text: str) -> bool:
    return any(text in str(value) for column in table.columns for value in column.to_pylist() if value is not None)


def confirmed(root: Path, keys: Path, content: str) -> int:
    """Stored digests that some key in the key file, overwritten bytes included, gives for this canonical content."""
    made = {hashlib.blake2b(content.encode(), digest_size=32, key=key).digest() for key in _keys(keys)}
    table = lance.dataset(str(root / "rows.lance")).to_table(columns=["content_digest"])
    return sum(value in made for value in table["content_digest"].to_pylist())


def _keys(path: Path) -> Iterator[bytes]:
    for line in path.read_bytes().splitlines():
        held = line.rpartition(b'"key": "')[2][:64]
        try:
            yield bytes.fromhex(held.decode())
        except ValueError:
            continue
