"""Lines of a stream that may be compressed, and the records of JSON lines. One line at a time is in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pyarrow as pa

from whence.data.values import BOM, KEEP_BYTES, MAX_BYTES, TOO_LONG, Fault, Record, record_of, value_of

PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of a compressed file → its codec."""
STEP_BYTES = 1024
"""Unpacked at once. What a damaged file holds in the step that fails is lost, so the step is small."""


class _Unpacked(io.RawIOBase):
    """The bytes that were packed, members or frames one after the other. Where they break off it ends, and `error`
    says why."""

    def __init__(self, file: io.BufferedIOBase, codec: str) -> None:
        self._stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), codec)
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            return self._stream.readinto(buffer[:STEP_BYTES]) if self.error is None else 0
        except OSError as error:
            self.error = error
            return 0


def unpacked(file: io.BufferedReader) -> io.BufferedReader:
    """The file, or what is packed in it; told by its first bytes."""
    start = file.peek(4)
    codec = next((codec for mark, codec in PACKED.items() if start.startswith(mark)), None)
    return io.BufferedReader(_Unpacked(file, codec)) if codec else file  # type: ignore[arg-type]


def breaks_off(stream: io.BufferedReader, raw: bytes = b"") -> Fault | None:
    """The fault of a stream that ended before its file was whole; `raw` is what came of its last line."""
    error = getattr(stream.raw, "error", None)
    return Fault("truncated", f"the compressed file breaks off here: {error}", raw[:KEEP_BYTES]) if error else None


def lines(stream: io.BufferedReader, told: Callable[[], None]) -> Iterator[tuple[int, bytes | Fault]]:
    """Lines with their ends, counted from 1. Where the stream breaks off, a last Fault."""
    number, line = 1, stream.readline(MAX_BYTES)
    while line:
        if number % 4096 == 0:
            told()
        if line.endswith(b"\n"):
            yield number, line
        elif len(line) == MAX_BYTES:
            yield number, Fault("too_long", f"the line is {TOO_LONG}", line[:KEEP_BYTES])
            while line and not line.endswith(b"\n"):
                told()
                line = stream.readline(KEEP_BYTES)
        else:
            yield number, breaks_off(stream, line) or line
            return
        number, line = number + 1, stream.readline(MAX_BYTES)
    fault = breaks_off(stream)
    if fault:
        yield number, fault


def read_jsonl(stream: io.BufferedReader, told: Callable[[], None]) -> Iterator[Record]:
    """One record a line; blank lines are passed over."""
    for number, line in lines(stream, told):
        if isinstance(line, Fault):
            yield number, line
        elif not line.isspace():
            line = line.rstrip(b"\r\n")
            line = line.removeprefix(BOM) if number == 1 else line
            yield number, record_of(value_of(line), line)
