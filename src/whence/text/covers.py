"""How much of an evaluation text stands in a row: in order or out of it, misspelt or not. Numbers of words in.

Candidates are exact: each pair whose shared words carry the asked share of the item's bits is found, since it shares
one of the item's rarest words at least (prefix filtering: Chaudhuri, Ganti and Kaushik 2006). Rows are looked at in
pieces of about two lengths of the item, so that a long row does not cover every item by chance.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whence.text.vocabulary import IDS, Ids
from whence.text.words import AT, split

SHORTEST = 16
"""words: items are taken together by length, up to 16, 32, 64 …"""
LONGEST = 4096
"""words: a longer item is found by its runs only"""
ROUNDING = 1e-9
"""by which sums of bits may differ for the order that they were summed in"""
POINTS = nb.types.Array(nb.uint32, 1, "C", readonly=True)
WEIGHTS = nb.types.Array(nb.float64, 1, "C", readonly=True)
Offsets = npt.NDArray[np.int64]
Bits = npt.NDArray[np.float64]


class Covers:
    """Evaluation texts by their rarest words. ids: the number of each word, −1 for none; bits: of each number."""

    def __init__(self, ids: Ids, offsets: Offsets, bits: Bits, least: float) -> None:
        kept = ids >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])
        self.ids, self.offsets, self.bits = ids[kept], ends[offsets].astype(np.int64), bits
        self.least = least
        self.total = worth(self.ids, self.offsets, bits)
        self.words, self.ends, self.rest = _rarest(self.ids, self.offsets, bits)
        items = np.repeat(np.arange(len(self.total), dtype=np.int32), np.diff(self.ends))
        asked = self.rest >= least * self.total[items] * (1 - ROUNDING)
        words, items, size = self.words[asked], items[asked], np.diff(self.offsets)
        lengths = np.maximum(SHORTEST, 2 ** np.ceil(np.log2(np.maximum(size, 1))).astype(np.int64))
        self.classes = []
        for length in np.unique(lengths[(size > 0) & (size <= LONGEST)]):
            mine = lengths[items] == length
            order = np.argsort(words[mine], kind="stable")
            counts = np.bincount(words[mine], minlength=len(bits))
            posted = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            self.classes.append((int(length), posted, items[mine][order]))

    def candidates(self, ids: Ids, offsets: Offsets, floor: float = 0.0) -> pa.Table:
        """Pairs of a row and an item where a piece of the row shares distinct words with `least` of the item's bits and
        with `floor` bits: `row`, `item`, `bits`, and `start` and `end` of the piece that shares most, as places in
        `ids`."""
        tables = []
        for length, posted, items in self.classes:
            row, start, end = _pieces(offsets, length)
            piece, item, shared = _candidates(
                ids, start, end, self.words, self.ends, self.rest, self.bits, posted, items, self.least, floor
            )
            keep = _best(row[piece], item, shared)
            piece = piece[keep]
            columns = {"row": row[piece], "item": item[keep], "bits": shared[keep]}
            tables.append(pa.table({**columns, "start": start[piece], "end": end[piece]}))
        return pa.concat_tables(tables) if tables else EMPTY

    def in_order(self, ids: Ids, pairs: pa.Table) -> npt.NDArray[np.int64]:
        """Words of the longest common subsequence of each pair's piece and item."""
        item, start, end = (pairs[name].to_numpy() for name in ("item", "start", "end"))
        return np.asarray(_in_order(ids, start, end, item, self.ids, self.offsets, len(self.bits)))

    def misspelt(self, ids: Ids, pairs: pa.Table, spelt: Spelt, own: Spelt) -> tuple[npt.NDArray[np.int64], Bits]:
        """The same where words spelt almost alike are equal (`_alike`), and the most bits of the item's distinct words
        in half as many words again as the item has. spelt: of the words at ids; own: of the items' words, by number."""
        item, start, end = (pairs[name].to_numpy() for name in ("item", "start", "end"))
        return _misspelt(ids, start, end, item, self.ids, self.offsets, self.bits, *spelt, *own)


Spelt = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""(code points of all words, where each begins and ends)"""
EMPTY = pa.table(
    {
        "row": pa.array([], pa.int64()),
        "item": pa.array([], pa.int32()),
        "bits": pa.array([], pa.float64()),
        "start": pa.array([], pa.int64()),
        "end": pa.array([], pa.int64()),
    }
)


def spelt(words: list[str]) -> Spelt:
    """How these words are written."""
    points = np.frombuffer("".join(words).encode("utf-32-le", "surrogatepass"), np.uint32)
    ends = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(word) for word in words], out=ends[1:])
    return points, ends


def spelt_in(texts: list[str]) -> Spelt:
    """How the words of these texts are written, in order."""
    return spelt([word for text in texts for word in split(text)])


def _pieces(offsets: Offsets, length: int) -> tuple[Offsets, Offsets, Offsets]:
    """(row, start, end) of pieces of 2 × length words, each half over the one before: what has at most `length` words
    lies in one of them."""
    count = np.maximum(1, -(-np.diff(offsets) // length) - 1)
    row = np.repeat(np.arange(len(count), dtype=np.int64), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    start = offsets[row] + within * length
    return row, start, np.minimum(start + 2 * length, offsets[row + 1])


def _best(row: Offsets, item: Ids, shared: Bits) -> npt.NDArray[np.int64]:
    """Of each pair the piece that shares most, the first of these."""
    order = np.lexsort((-shared, item, row))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(row[order]) != 0) | (np.diff(item[order]) != 0)
    return np.asarray(order[first])


@nb.njit(nb.float64[::1](IDS, AT, WEIGHTS), cache=True, nogil=True)
def worth(ids, offsets, bits):  # type: ignore[no-untyped-def]
    """The bits of each text's distinct words."""
    out, last = np.zeros(len(offsets) - 1), np.full(len(bits), -1, np.int64)
    for text in range(len(offsets) - 1):
        for at in range(offsets[text], offsets[text + 1]):
            if ids[at] >= 0 and last[ids[at]] != text:
                last[ids[at]] = text
                out[text] += bits[ids[at]]
    return out


@nb.njit(nb.types.Tuple((nb.int32[::1], nb.int64[::1], nb.float64[::1]))(IDS, AT, WEIGHTS), cache=True, nogil=True)
def _rarest(ids, offsets, bits):  # type: ignore[no-untyped-def]
    """(distinct words of each item, the rarest first; where these begin; bits of each word and those after it)."""
    words, ends, rest = np.empty(len(ids), np.int32), np.zeros(len(offsets), np.int64), np.empty(len(ids))
    out = 0
    for item in range(len(offsets) - 1):
        own = np.unique(ids[offsets[item] : offsets[item + 1]])
        for at in np.argsort(-bits[own], kind="mergesort"):
            words[out] = own[at]
            out += 1
        ends[item + 1] = out
        left = 0.0
        for at in range(out - 1, ends[item] - 1, -1):
            left += bits[words[at]]
            rest[at] = left
    return words[:out].copy(), ends, rest[:out].copy()


FOUND = nb.types.Tuple((nb.int64[::1], nb.int32[::1], nb.float64[::1]))


@nb.njit(FOUND(IDS, AT, AT, IDS, AT, WEIGHTS, WEIGHTS, AT, IDS, nb.float64, nb.float64), cache=True, nogil=True)
def _candidates(ids, starts, ends, own, offsets, rest, bits, posted, items, least, floor):  # type: ignore[no-untyped-def]
    """(piece, item, bits of the distinct words they share). An item is left as soon as its other words cannot do."""
    room, out = 1024, 0
    pieces, found, shared = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.float64)
    here, asked = np.full(len(bits), -1, np.int64), np.full(len(offsets), -1, np.int64)
    for piece in range(len(starts)):
        for at in range(starts[piece], ends[piece]):
            if ids[at] >= 0:
                here[ids[at]] = piece
        for at in range(starts[piece], ends[piece]):
            word = ids[at]
            if word < 0:
                continue
            for one in range(posted[word], posted[word + 1]):
                item = items[one]
                if asked[item] == piece:
                    continue
                asked[item], now = piece, 0.0
                first, last = offsets[item], offsets[item + 1]
                need = max(floor, least * rest[first] * (1 - ROUNDING))
                for place in range(first, last):
                    if now + rest[place] < need:
                        break
                    if here[own[place]] == piece:
                        now += bits[own[place]]
                if now < need:
                    continue
                if out == room:
                    pieces, found = np.concatenate((pieces, pieces)), np.concatenate((found, found))
                    shared = np.concatenate((shared, shared))
                    room *= 2
                pieces[out], found[out], shared[out] = piece, item, now
                out += 1
    return pieces[:out].copy(), found[:out].copy(), shared[:out].copy()


@nb.njit(nb.int64(nb.uint64[::1], nb.uint64[:, ::1], nb.int64, nb.int64), cache=True, nogil=True, inline="always")
def _step(left, masks, word, blocks):  # type: ignore[no-untyped-def]
    """One word of the row over the item's bits: V ← (V + (V ∧ M)) ∨ (V ∧ ¬M) (Hyyrö 2004)."""
    carry = np.uint64(0)
    for block in range(blocks):
        old, mask = left[block], masks[word, block]
        added = old + (old & mask)
        more = added + carry
        carry = np.uint64(added < old) | np.uint64(more < added)
        left[block] = more | (old & ~mask)
    return 0


@nb.njit(nb.int64(nb.uint64[::1], nb.int64), cache=True, nogil=True, inline="always")
def _zeros(left, size):  # type: ignore[no-untyped-def]
    """Zero bits of the first `size`: the length of the subsequence."""
    out = 0
    for at in range(size):
        out += (left[at >> 6] >> np.uint64(at & 63)) & np.uint64(1) == 0
    return out


@nb.njit(nb.int64[::1](IDS, AT, AT, IDS, IDS, AT, nb.int64), cache=True, nogil=True)
def _in_order(ids, starts, ends, items, own, offsets, words):  # type: ignore[no-untyped-def]
    """The bit-parallel longest common subsequence (Crochemore, Iliopoulos, Pinzon and Reid 2001; Hyyrö 2004)."""
    out, place = np.empty(len(items), np.int64), np.full(words, -1, np.int64)
    for pair in range(len(items)):
        first, last = offsets[items[pair]], offsets[items[pair] + 1]
        blocks = (last - first + 63) // 64
        masks, distinct = np.zeros((last - first, blocks), np.uint64), 0
        for at in range(first, last):
            if place[own[at]] < 0:
                place[own[at]] = distinct
                distinct += 1
            masks[place[own[at]], (at - first) >> 6] |= np.uint64(1) << np.uint64((at - first) & 63)
        left = np.full(blocks, np.uint64(0xFFFFFFFFFFFFFFFF))
        for at in range(starts[pair], ends[pair]):
            if ids[at] >= 0 and place[ids[at]] >= 0:
                _step(left, masks, place[ids[at]], blocks)
        out[pair] = _zeros(left, last - first)
        for at in range(first, last):
            place[own[at]] = -1
    return out


@nb.njit(nb.boolean(POINTS, nb.int64, nb.int64, POINTS, nb.int64, nb.int64), cache=True, nogil=True)
def _alike(a, a0, a1, b, b0, b1):  # type: ignore[no-untyped-def]
    """Whether two words differ by few letters: added, dropped, changed, or two neighbours changed over (optimal string
    alignment). None of less than 4 letters, 1 of less than 8, else 2, by the shorter word; never where a digit is."""
    shorter, most = min(a1 - a0, b1 - b0), 2
    if shorter < 8:
        most = 1
    if shorter < 4:
        most = 0
    if abs((a1 - a0) - (b1 - b0)) > most:
        return False
    for at in range(a0, a1):
        if 48 <= a[at] <= 57:
            most = 0
    for at in range(b0, b1):
        if 48 <= b[at] <= 57:
            most = 0
    while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    if a0 == a1 and b0 == b1:
        return True
    if not most or (most == 1 and max(a1 - a0, b1 - b0) > 2):
        return False
    wide = b1 - b0 + 1
    before, last, row = np.empty(wide, np.int64), np.empty(wide, np.int64), np.arange(wide)
    for i in range(1, a1 - a0 + 1):
        before, last, row = last, row, before
        row[0] = i
        least = row[0]
        for j in range(1, wide):
            same = a[a0 + i - 1] == b[b0 + j - 1]
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (0 if same else 1))
            if i > 1 and j > 1 and a[a0 + i - 1] == b[b0 + j - 2] and a[a0 + i - 2] == b[b0 + j - 1]:
                row[j] = min(row[j], before[j - 2] + 1)
            least = min(least, row[j])
        if least > most:
            return False
    return row[wide - 1] <= most


@nb.njit(
    nb.types.Tuple((nb.int64[::1], nb.float64[::1]))(
        IDS, AT, AT, IDS, IDS, AT, WEIGHTS, POINTS, AT, POINTS, AT
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def _misspelt(ids, starts, ends, items, own, offsets, bits, points, at_point, own_points, own_at):  # type: ignore[no-untyped-def]
    """(length of the common subsequence, most bits in a window). A word of the row that the item has is itself only;
    every other may be a misspelling of one of the item's."""
    out, worth = np.empty(len(items), np.int64), np.zeros(len(items))
    place = np.full(len(bits), -1, np.int64)
    for pair in range(len(items)):
        first, last, start = offsets[items[pair]], offsets[items[pair] + 1], starts[pair]
        size = last - first
        blocks = (size + 63) // 64
        masks, names, distinct = np.zeros((size + 1, blocks), np.uint64), np.empty(size, np.int64), 0
        for at in range(first, last):
            if place[own[at]] < 0:
                place[own[at]], names[distinct] = distinct, own[at]
                distinct += 1
            masks[place[own[at]], (at - first) >> 6] |= np.uint64(1) << np.uint64((at - first) & 63)
        left, met = np.full(blocks, np.uint64(0xFFFFFFFFFFFFFFFF)), np.full(ends[pair] - start, -1, np.int64)
        for at in range(start, ends[pair]):
            if ids[at] >= 0:
                met[at - start] = place[ids[at]]
            if met[at - start] >= 0:
                _step(left, masks, met[at - start], blocks)
                continue
            masks[size] = 0
            for one in range(distinct):
                word = names[one]
                if _alike(points, at_point[at], at_point[at + 1], own_points, own_at[word], own_at[word + 1]):
                    masks[size] |= masks[one]
                    if met[at - start] < 0:
                        met[at - start] = one
            if met[at - start] >= 0:
                _step(left, masks, size, blocks)
        out[pair] = _zeros(left, size)
        window, inside, now = size + size // 2, np.zeros(distinct, np.int64), 0.0
        for at in range(len(met)):
            if met[at] >= 0:
                inside[met[at]] += 1
                if inside[met[at]] == 1:
                    now += bits[names[met[at]]]
            if at >= window and met[at - window] >= 0:
                inside[met[at - window]] -= 1
                if not inside[met[at - window]]:
                    now -= bits[names[met[at - window]]]
            worth[pair] = max(worth[pair], now)
        for one in range(distinct):
            place[names[one]] = -1
    return out, worth
