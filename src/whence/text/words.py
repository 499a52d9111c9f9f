"""Texts as numbers: each word's hash. Arrow in, Arrow out.

A word is a run of letters, digits and underscores of one text in lower case, as in `normalise`; each letter of a script
that puts no spaces between words (Chinese, Japanese, Thai …) is a word by itself. Two different words share a hash of
64 bits once in 10^19 pairs.
"""

from __future__ import annotations

import re
from functools import cache

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

UNSPACED = (
    *((0x0E01, 0x0E3B), (0x0E40, 0x0E4F), (0x0E81, 0x0EDF), (0x1000, 0x10A0), (0x1780, 0x17DD)),
    *((0x3005, 0x3008), (0x3021, 0x302A), (0x3040, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000)),
    *((0xF900, 0xFB00), (0xFF66, 0xFFA0), (0x20000, 0x323B0)),
)
"""Code points, from and until, of scripts that put no spaces between words (Unicode 16: Thai, Lao, Myanmar, Khmer,
kana, Han). Those of them that are no letters are no words."""
LETTERS = 0x40000
"""Code points from here on are no letters or digits: planes that are unassigned, tags, private use."""
ALONE = 2
"""In the table: a word by itself. 1: part of a word; 0: not."""


def words(texts: pa.Array) -> pa.LargeListArray:
    """The hashes of each text's words, in order. texts: strings; null counts as empty. Values are uint64."""
    if texts.null_count:
        texts = texts.fill_null("")
    data, offsets = _utf8(texts)
    plain = _ascii(data)
    if not plain:
        texts = pa.array([text.lower() for text in texts.to_pylist()], pa.large_string())
        data, offsets = _utf8(texts)
    ends = np.zeros(len(offsets), np.int64)
    most = (int(offsets[-1] - offsets[0]) + len(offsets)) // 2
    hashes = np.empty(most, np.uint64)
    _hash(data, offsets, _table(0x80 if plain else 0x110000), ends, hashes)
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(hashes[: ends[-1]]))


def columns(lists: pa.LargeListArray) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """(values, offsets) of what `words` gives, without a copy; offsets has one number more than there are texts."""
    offsets = lists.offsets.to_numpy()
    return lists.values.to_numpy(), offsets


def split(text: str) -> list[str]:
    """The words that `words` hashes."""
    return _WORD.findall(text.lower())


_OWN = "".join(f"{chr(start)}-{chr(end - 1)}" for start, end in UNSPACED)
_WORD = re.compile(rf"(?=\w)[{_OWN}]|(?:(?![{_OWN}])\w)+")


def _utf8(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """(bytes, where each text begins and ends in them)."""
    array = texts.cast(pa.large_string())
    _, offsets, data = array.buffers()
    at = (
        np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        if len(array)
        else np.zeros(1, np.int64)
    )
    return np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8), at


def _ascii(data: npt.NDArray[np.uint8]) -> bool:
    return not len(data) or int(data.max()) < 0x80


@cache
def _table(points: int) -> npt.NDArray[np.uint8]:
    """What each of the first so many code points is."""
    table = np.zeros(points, np.uint8)
    every = np.arange(min(points, LETTERS), dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    for run in re.finditer(r"\w+", every):  # a tenth of the time of asking each one
        table[run.start() : run.end()] = 1
    for start, end in UNSPACED:
        table[start:end] *= ALONE
    return table


@nb.njit("uint64(uint64)", cache=True, nogil=True, inline="always")
def mixed(value):  # type: ignore[no-untyped-def]
    """All bits of a number over all of its bits (the end of MurmurHash3)."""
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@nb.njit("Tuple((int64, int64))(uint8[::1], int64)", cache=True, nogil=True, inline="always")
def _point(data, at):  # type: ignore[no-untyped-def]
    """(the code point here, how many bytes it has)."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
    tail = (
        (np.int64(data[at + 1]) & 0x3F) << 12 | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F)
    )
    return (first & 0x07) << 18 | tail, 4


READ = nb.types.Array(nb.uint8, 1, "C", readonly=True)
AT = nb.types.Array(nb.int64, 1, "C", readonly=True)


@nb.njit(nb.void(READ, AT, nb.uint8[::1], nb.int64[::1], nb.uint64[::1]), cache=True, nogil=True)
def _hash(data, offsets, table, ends, hashes):  # type: ignore[no-untyped-def]
    """FNV-1a of each word's bytes in lower case, then mixed; where each text's words end, into ends[1:]. A text
    of n bytes has at most (n + 1) / 2 words."""
    basis, prime, out = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3), 0
    for text in range(len(offsets) - 1):
        inside, at, value = False, offsets[text], basis
        while at < offsets[text + 1]:
            byte = data[at]
            if byte < 0x80:
                if table[byte]:
                    if 65 <= byte <= 90:
                        byte += 32
                    value, inside = (value ^ np.uint64(byte)) * prime, True
                elif inside:
                    hashes[out] = mixed(value)
                    out, value, inside = out + 1, basis, False
                at += 1
                continue
            point, size = _point(data, at)
            kind = table[point]
            if inside and kind != 1:
                hashes[out] = mixed(value)
                out, value = out + 1, basis
            if kind:
                for i in range(at, at + size):
                    value = (value ^ np.uint64(data[i])) * prime
            if kind == ALONE:
                hashes[out] = mixed(value)
                out, value = out + 1, basis
            inside = kind == 1
            at += size
        if inside:
            hashes[out] = mixed(value)
            out += 1
        ends[text + 1] = out
