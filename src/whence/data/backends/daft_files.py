"""Texts in files, read and compared by Daft: on its own runner or on Ray.

Neither sends anything home: their telemetry is switched off before they are imported. Workers need this package.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from whence.data.doors import is_url
from whence.data.text_files import Files, found, kinds, refuse, typed, unread
from whence.records import BackendFailed, Unmet, WhenceError, require
from whence.text.lines import NAMED, named

if TYPE_CHECKING:
    import daft

QUIET = {"DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0", "DAFT_PROGRESS_BAR": "0"}
CONNECT_S = 10
TOKENS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def near_by_daft(files: Files, threshold: float) -> tuple[int, pa.Table]:
    """(texts read; pairs of ids). See `nearby`. Raises Unmet, BackendFailed."""
    with _begun(files):
        from whence.text.backends.daft_engine import near_duplicates_of

        frame = _frame(files)
        texts = _counted(frame, files)
        threads = len(os.sched_getaffinity(0))
        return texts, near_duplicates_of(frame.select("id", "text"), threshold, threads=threads)


def overlap_by_daft(files: Files, suite: Files) -> tuple[int, pa.Table, pa.Table]:
    """(texts read; pairs of ids; `Search.told`). See `overlapping`. Raises Unmet, BackendFailed."""
    with _begun(files):
        from whence.text.backends.daft_engine import look_in

        frame, evaluated = _frame(files), _frame(suite)
        texts, _ = _counted(frame, files), _counted(evaluated, suite)
        items = evaluated.select("id", "text").sort("id").to_arrow()
        found, told = look_in(frame.select("id", "text"), items["text"])
        return texts, found.set_column(1, "item", items["id"].take(found["item"])), told


@contextmanager
def _begun(files: Files) -> Iterator[None]:
    """The engine at work; what it raises, as errors of ours."""
    require("scale", "daft", *(["ray"] if files.engine == "ray" else []))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with _told(files.engine):
        _run_on(files.engine, files.address)
        yield


def _run_on(engine: str, address: str | None) -> None:
    """Choose the runner, once in a process. A Ray that is started here ends with this process."""
    import daft

    wanted = {"daft": "native", "ray": "ray"}[engine]
    if engine == "ray":
        import ray

        if not ray.is_initialized():
            # Without an address Ray would go to whatever cluster was here last.
            address = address or os.environ.get("RAY_ADDRESS") or "local"
            _answers(address)
            if address == "local" and not any(name in os.environ for name in TOKENS):
                os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # or Ray writes one into the home folder
            own = {"include_dashboard": False} if address == "local" else {}
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    try:
        {"native": daft.set_runner_native, "ray": daft.set_runner_ray}[wanted]()
    except daft.exceptions.DaftCoreException as error:
        if daft.runners.get_or_infer_runner_type() != wanted:
            raise Unmet(f"Daft's runner is chosen once in a process, and here it is not {wanted}",
                        "one engine", "begin another process") from error  # fmt: skip


def _answers(address: str) -> None:
    """Raises Unmet where nobody answers at a cluster's address: Ray itself would try for minutes."""
    host, found, port = address.rpartition("://")[2].rpartition(":")
    try:
        if found:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        do = "HOST:6379 from a machine of the cluster, ray://HOST:10001 from another"
        raise Unmet(f"no Ray answers at {address}: {error}", "the address of a Ray cluster", do) from error


def _files_of(path: str) -> list[str]:
    import daft

    if not is_url(path):
        return found(path)
    if not set(path) & set("*?["):
        return [path]
    try:
        return sorted(daft.from_glob_path(path).to_pydict()["path"])
    except daft.exceptions.DaftCoreException as error:
        if "at least 1 MicroPartition" not in str(error):  # what Daft says of nothing
            raise
        raise Unmet(f"there is no object {path}", "Parquet files or JSON lines") from error


def _frame(files: Files) -> daft.DataFrame:
    """id, text and fault of each row."""
    import daft

    parquet, lines = kinds(file for path in files.paths for file in _files_of(path))
    groups = defaultdict[str, list[str]](list)
    for path in parquet:  # Daft takes the first file's columns for those of all
        groups[typed(path, _schema(path), files)].append(path)
    text, parts = daft.DataType.string(), list[Any]()
    if lines:
        named_ = daft.func.batch(return_dtype=daft.DataType.from_arrow_type(NAMED))(_named)
        read = daft.read_text(lines, file_path_column="path")
        read = read.select(named_(read["text"], files.column, files.id).alias("row"), "path")
        fault = read["row"]["fault"] + daft.lit(" in ") + read["path"]
        parts.append(
            read.select(read["row"]["id"].alias("id"), read["row"]["text"].alias("text"), fault.alias("fault"))
        )
    for group in groups.values():
        read = daft.read_parquet(group, file_path_column=PATH)
        ids = read[files.id].cast(text)
        fault = daft.functions.when(ids.is_null(), daft.lit("an id is missing in ") + read[PATH])
        parts.append(read.select(ids.alias("id"), read[files.column].cast(text).alias("text"), fault.alias("fault")))
    frame = parts[0]
    for part in parts[1:]:
        frame = frame.union_all(part)
    return frame


PATH = "path of the file"
"""A column of no file, as we hope."""


def _named(lines: Any, column: str, id: str) -> pa.StructArray:
    return named(lines.to_arrow(), column, id)


def _schema(path: str) -> pa.Schema:
    import daft

    try:
        return daft.read_parquet(path).schema().to_pyarrow_schema()
    except FileNotFoundError as error:
        raise unread(path, error) from error
    except daft.exceptions.DaftCoreException as error:
        if is_url(path):
            raise
        raise unread(path, error) from error


def _counted(frame: daft.DataFrame, files: Files) -> int:
    """How many texts there are. Raises Unmet where a row cannot be used."""
    from daft import col, lit
    from daft.functions import when

    each = frame.groupby("id", "fault").agg(col("fault").count("all").alias("rows"))
    bad, twice = col("fault").not_null(), col("fault").is_null() & (col("rows") > 1)
    told = each.agg(
        col("rows").sum().alias("texts"),
        when(bad, col("rows")).otherwise(lit(0)).sum().alias("faults"),
        col("fault").min().alias("fault"),
        twice.cast(int).sum().alias("twice"),
        when(twice, col("id")).min().alias("example"),
    ).to_pylist()[0]
    refuse(int(told["faults"] or 0), told["fault"], int(told["twice"] or 0), told["example"], files)
    return int(told["texts"] or 0)


@contextmanager
def _told(engine: str) -> Iterator[None]:
    """What Daft and Ray raise, as errors of ours."""
    try:
        yield
    except WhenceError:
        raise
    except FileNotFoundError as error:
        raise Unmet(f"there is no such file or object: {_first(error)}", "Parquet files or JSON lines") from error
    except PermissionError as error:
        raise Unmet(f"it may not be read: {_first(error)}", "the right to read it", "set credentials") from error
    except Exception as error:
        do = "look at it (on a cluster also at RAY_AUTH_TOKEN), then run this again; nothing was written"
        raise BackendFailed(f"the engine {engine} failed: {_first(error)}\n  do: {do}") from error


def _first(error: BaseException) -> str:
    """What an error says, in a line: the first; of a Ray task's, which begins with where it was, the last."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return said[-1 if "ray::" in said[0] else 0][:300]
