"""Tensors in safetensors files, read by mapping the file: names, types, shapes, digests. No torch.

Format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, the tensors' bytes.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from whence.records import Conflict, Json, Unmet, encode

HEADER_BYTES = 100 << 20
"""The largest header the safetensors library accepts."""
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""Endings of files that run code when they are opened."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    dtype: str
    """safetensors' name: F32, BF16 …"""
    shape: tuple[int, ...]
    """elements per dimension"""
    content: bytes
    """BLAKE3 over dtype, shape and bytes, 32 bytes"""


_read: dict[tuple[int, ...], Mapping[str, Tensor]] = {}


def mark(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file does: where it lies, its bytes, its times. The last one no program can set back."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_before(key: tuple[int, ...]) -> Mapping[str, Tensor] | None:
    """The tensors of a file as they were when this was its `mark`; None where nobody read them then."""
    return _read.get(key)


def weight_files(folder: Path, stem: str = "model") -> list[Path]:
    """The safetensors files of a model folder, one or the shards that its index names.

    Raises Unmet where there are none (pickled weights are never opened) or a shard is missing.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        shards = sorted(set(read_json(index).get("weight_map", {}).values()))
        outside = [name for name in shards if Path(name).name != name]
        if outside:
            raise Unmet(f"{index} names a shard elsewhere: {outside[0]}", "shards beside their index", "mend the index")
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing or not shards:
            raise Unmet(
                f"{index} names shards that are not there: {', '.join(missing) or 'none at all'}",
                "all shards beside their index",
                "download the model again",
            )
        return [folder / name for name in shards]
    pickled = sorted(p.name for p in folder.glob("*") if p.suffix in PICKLED)
    if pickled:
        raise Unmet(
            f"{folder} holds pickled weights only ({', '.join(pickled[:3])}), which run code when they are opened",
            f"{stem}.safetensors",
            "take a revision with safetensors, or convert it with save_pretrained on a machine of its own",
        )
    raise Unmet(f"{folder} holds no {stem}.safetensors", "a folder as save_pretrained writes it", "check the path")


def tensors(files: Sequence[Path]) -> dict[str, Tensor]:
    """Every tensor of these files by name. Raises Unmet for a damaged file or a name that occurs twice."""
    found: dict[str, Tensor] = {}
    for path in files:
        here = _tensors(path)
        twice = found.keys() & here.keys()
        if twice:
            raise Unmet(f"{path} repeats the tensor {min(twice)}", "each tensor in one shard", "save the model again")
        found.update(here)
    return found


def combined(parts: Mapping[str, Tensor]) -> str:
    """``b3:`` over the sorted per-tensor digests, each over name and content: the same however they are sharded."""
    each = sorted(blake3(encode(name) + tensor.content).digest() for name, tensor in parts.items())
    return "b3:" + blake3(b"".join(each)).hexdigest()


def _tensors(path: Path) -> Mapping[str, Tensor]:
    """One file's tensors; read again only when the file has changed. Raises Conflict where it changes meanwhile."""
    with path.open("rb") as file:
        key = mark(os.fstat(file.fileno()))
        if key in _read:
            return _read[key]
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
                found = {name: _tensor(view, *where) for name, where in _header(view).items()}
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise Unmet(
                f"{path} is not a whole safetensors file: {error}", "the file as published", "download it again"
            ) from error
        if mark(os.fstat(file.fileno())) != key:
            raise Conflict(f"{path} was written to while it was read\n  do: let its writer finish, then run again")
    _read[key] = found
    return found


def _header(view: memoryview) -> dict[str, tuple[int, int, Json]]:
    """Name → (first byte, last byte + 1, entry). The tensors fill the data part without gap or overlap."""
    (length,) = struct.unpack("<Q", view[:8])
    if length > min(HEADER_BYTES, len(view) - 8):
        raise ValueError(f"its header claims {length} bytes")
    start, entries = 8 + length, json.loads(bytes(view[8 : 8 + length]))
    entries.pop("__metadata__", None)
    found, end = {}, start
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = (start + offset for offset in entry["data_offsets"])
        if first != end or last < first:
            raise ValueError(f"tensor {name} does not follow the one before it")
        found[name], end = (first, last, entry), last
    if end != len(view):
        raise ValueError(f"its tensors end at byte {end}, the file at byte {len(view)}")
    return found


def _tensor(view: memoryview, first: int, last: int, entry: Json) -> Tensor:
    dtype, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
    hasher = blake3(encode([dtype, list(shape)]))
    hasher.update(view[first:last])
    return Tensor(dtype, shape, hasher.digest())


def read_json(path: Path) -> Json:
    """A JSON object of a model folder. Raises Unmet where it is missing or none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unmet(f"{path} is missing", "a folder as save_pretrained writes it", "check the path") from None
    except (OSError, ValueError) as error:
        raise Unmet(f"{path} cannot be read: {error}", "a JSON object", "download it again") from error
    if not isinstance(value, dict):
        raise Unmet(f"{path} holds a {type(value).__name__}", "a JSON object", "download it again")
    return value
