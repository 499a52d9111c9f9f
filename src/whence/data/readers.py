"""Files → records with their line numbers. A bad line becomes a `Fault` and stops nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from whence.data.arrow_files import read_parquet, read_saved
from whence.data.csv_file import read_csv
from whence.data.json_file import read_json
from whence.data.lines import read_jsonl, unpacked
from whence.data.values import Record
from whence.records import BackendFailed, Unmet

SAVED = "datasets"
"""The format of a folder that `Dataset.save_to_disk` wrote."""
FORMATS = ("jsonl", "json", "csv", "parquet", SAVED)
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
PACKED_ENDINGS = (".gz", ".zst")

Told = Callable[[int], None]
"""Called now and then with the number of bytes of the file read so far."""


def detect_format(place: Path | str) -> str:
    """The format by the name of a file or the last part of a URL; a folder is a saved data set. Raises Unmet."""
    if isinstance(place, Path) and place.is_dir():
        return SAVED
    name = Path(str(place).rpartition("/")[2])
    suffix = Path(name.stem).suffix if name.suffix in PACKED_ENDINGS else name.suffix
    if suffix not in ENDINGS:
        known = f"one of {', '.join(ENDINGS)} (and {', '.join(PACKED_ENDINGS)})"
        raise Unmet(f"{name} has no known ending", known, "set format = …")
    return ENDINGS[suffix]


def read(what: io.BufferedReader | Path, format: str, size: int = 0, told: Told = lambda _: None) -> Iterator[Record]:
    """(line, record or Fault) of each record of an open file of `size` bytes, or of the folder of a saved data set;
    lines count from 1. Raises Unmet where nothing can be read at all, BackendFailed where the disk fails."""
    try:
        if isinstance(what, Path):
            yield from read_saved(what, told)
        elif format == "parquet":
            yield from read_parquet(what, size, told)
        else:
            reader = {"jsonl": read_jsonl, "json": read_json, "csv": read_csv}[format]
            yield from reader(unpacked(what), lambda: told(what.tell()))
    except OSError as error:
        raise BackendFailed(f"reading stopped: {error}\n  do: mend the disk or the network, then run again") from error
