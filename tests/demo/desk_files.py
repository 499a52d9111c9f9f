"""Reads a generated folder back for the tests."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Row = dict[str, Any]


class Desk:
    """The files of one generated folder, read back by ref; broken lines are left out of `rows`."""

    def __init__(self, folder: Path) -> None:
        self.truth = json.loads((folder / "truth.json").read_text())
        self.ticket_lines = (folder / "data/tickets.jsonl").read_bytes().splitlines()
        broken = {fault["line"] for fault in self.truth["broken"]}
        tickets = [json.loads(line) for at, line in enumerate(self.ticket_lines, 1) if at not in broken]
        packed = (folder / "data/partner.csv.gz").read_bytes()
        partner = csv.DictReader(io.StringIO(gzip.decompress(packed).decode(), newline=""))
        self.sources: dict[str, list[Row]] = {
            "tickets": tickets,
            "chats": _jsonl(folder / "data/chats.jsonl"),
            "partner": list(partner),
            "augmented": pq.read_table(folder / "data/augmented.parquet").to_pylist(),
            "dev": _jsonl(folder / "suites/dev.jsonl"),
            "gate": _jsonl(folder / "suites/gate.jsonl"),
        }
        self.rows = {f"{source}:{row['id']}": row for source, rows in self.sources.items() for row in rows}

    def texts(self, *sources: str) -> dict[str, str]:
        """Every customer text of the sources by ref; of a chat, the last thing the customer wrote."""
        return {ref: text_of(row) for ref, row in self.rows.items() if ref.split(":")[0] in (sources or self.sources)}


def _jsonl(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def text_of(row: Row) -> str:
    if "messages" in row:
        return [turn["content"] for turn in row["messages"] if turn["role"] == "user"][-1]
    return row["text"] if "text" in row else row["question"]


def intent_of(row: Row) -> str:
    return row["messages"][-1]["content"] if "messages" in row else row["intent"]
