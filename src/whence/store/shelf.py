"""A table derived from the catalogue, kept beside the index of rows so that a question need not read it all again. It
can be deleted at any time; what cannot be written is made again by the next question."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from blake3 import blake3

from whence.store.sets import PackedSets

Row = tuple[Any, ...]
"""Texts and Nones."""


class Shelf:
    """One such table."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, list(columns)

    def read(self) -> tuple[list[int], list[Row]]:
        """(the mark it was written with, its rows); nothing where it is not there, damaged, or of another version."""
        try:
            with pa.OSFile(str(self._path)) as file:
                table = pa.ipc.open_file(file).read_all()
            if table.column_names != self._columns:
                return [], []
            mark = json.loads(table.schema.metadata[b"mark"])
            parts = [column.combine_chunks() for column in table.columns]
            return mark, list(zip(*(_values(part) for part in parts), strict=True))
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return [], []

    def write(self, mark: Sequence[int], rows: Sequence[Row]) -> None:
        """Keep these, whole or not at all."""
        columns = zip(*rows, strict=True) if rows else [()] * len(self._columns)
        arrays = [pa.array(list(column), pa.string()).dictionary_encode() for column in columns]
        said = {"mark": json.dumps(list(mark))}
        table = pa.table(dict(zip(self._columns, arrays, strict=True))).replace_schema_metadata(said)
        partial = self._path.with_name(f".{self._path.name}-{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with pa.OSFile(str(partial), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                os.chmod(partial, 0o600)
                writer.write_table(table)
            os.replace(partial, self._path)


class SetShelf:
    """Named row sets, kept likewise under a digest of their own: bytes that changed are none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[list[int], PackedSets]:
        """(the mark it was written with, its sets); nothing where it is not there or damaged."""
        try:
            head, _, held = self._path.read_bytes().partition(b"\n")
            said = json.loads(head)
            if said["digest"] != blake3(held).hexdigest():
                return [], PackedSets.empty()
            return said["mark"], PackedSets.of_bytes(held)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return [], PackedSets.empty()

    def write(self, mark: Sequence[int], sets: PackedSets) -> None:
        """Keep these, whole or not at all."""
        held = sets.to_bytes()
        said = json.dumps({"mark": list(mark), "digest": blake3(held).hexdigest()})
        partial = self._path.with_name(f".{self._path.name}-{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(said.encode() + b"\n" + held)
            os.replace(partial, self._path)


def _values(column: Any) -> list[str | None]:
    """The texts of a dictionary-encoded column, each equal one the same object."""
    known = [*column.dictionary.to_numpy(zero_copy_only=False).tolist(), None]
    codes = column.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False).tolist()
    return [known[code] for code in codes]
