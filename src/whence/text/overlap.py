"""Evaluation texts that stand in rows: word for word, in part, misspelt, reworded. Arrow in, Arrow out.

What two texts share is weighed by how rare its distinct words are: bits, −log2 of the share of rows that have a word.
A pair is `natural` where so many bits are shared by chance, or where runs of words are less than a fifth of the
item (below that Llama 2, 2023, calls a text clean); every other is a leak.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whence.text.covers import Covers, spelt, spelt_in, worth
from whence.text.grams import SAMPLE, Probe, boilerplate, sizes, strip
from whence.text.vocabulary import KEYS, Vocabulary, information
from whence.text.words import AT, Hashes, columns, mixed, split, words

TIERS = ("exact", "normalised", "ngram13", "ngram8", "lcs", "misspelt", "paraphrase")
"""How an item stands in a row, the strongest first."""
CHUNK = 4 << 20
"""bytes of text that a thread has in hand, or one row"""
Places = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What counts. Set on banking77 and gsm8k, shown on others (docs/validity.md)."""

    run: float = 0.2
    """share of the item's words that stand in shared runs of 8 or 13"""
    lcs: float = 0.7
    """share of the item's words that stand in the row in order, misspelt or not"""
    paraphrase: float = 0.6
    """share of the item's bits that stand in the row in any order"""
    candidate: float = 0.4
    """share of the item's bits that a row must have for these three to be asked"""
    boilerplate: float = 0.05
    """share of the rows that makes 4 words in a row boilerplate"""
    whole: float = 0.5
    """bits of an item that is there whole, in log2(rows × items)"""
    said: float = 0.0005
    """share of the rows that make the same few words everyday: more than two, and fewer bits than a part needs"""
    part: float = 1.5
    """bits of what is there in part, in the same: words of one subject come together more often than by chance"""


class Texts:
    """Texts, each distinct one looked at once: two with the same words are one, and those without a word are none."""

    def __init__(self, texts: pa.Array | pa.ChunkedArray) -> None:
        chunked = texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts])
        self.texts = chunked.cast(pa.large_string())  # offsets of 32 bits end at 2 GiB
        parts = self._map(lambda part, _: digests(*columns(words(part))), _cut(self.texts))
        keys = np.concatenate([np.zeros(0, np.uint64), *parts])
        self.digests, self.first, which = np.unique(keys, return_index=True, return_inverse=True)
        if len(self.digests) and self.digests[0] == 0:
            self.digests, self.first, which = self.digests[1:], self.first[1:], which - 1
        self.members = np.argsort(which, kind="stable")
        self.ends = np.searchsorted(which[self.members], np.arange(len(self.digests) + 1))

    def __len__(self) -> int:
        return len(self.digests)

    def each(self, work: Callable[[pa.Array, Places], T]) -> Iterator[T]:
        """work(distinct texts, which of the distinct ones these are), part by part, on all cores."""
        number = np.full(len(self.texts), -1, np.int64)
        number[self.first] = np.arange(len(self))

        def one(part: pa.Array, start: int) -> T:
            which = number[start : start + len(part)]
            return work(part.filter(pa.array(which >= 0)), which[which >= 0])

        return self._map(one, _cut(self.texts))

    def all(self, which: Places) -> tuple[Places, Places]:
        """(place in `which`, text) of all texts that these distinct ones stand for."""
        count = self.ends[which + 1] - self.ends[which]
        place = np.repeat(np.arange(len(which)), count)
        within = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
        return place, self.members[self.ends[which][place] + within]

    @staticmethod
    def _map(work: Callable[[pa.Array, int], T], parts: Iterator[tuple[pa.Array, int]]) -> Iterator[T]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(lambda part: work(*part), parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of all rows before evaluation texts are looked for in them."""

    grams: Hashes
    """4 words in a row that are boilerplate, of the `SAMPLE` rows of the smallest digests: as if drawn"""
    seen: Places
    """rows that have each of the suite's words"""
    rows: int
    worded: int
    """rows that have a word"""
    distinct: int
    """of these, rows that differ in their words"""


class Suite:
    """Evaluation texts, and their words."""

    def __init__(self, items: pa.Array | pa.ChunkedArray, bounds: Bounds = Bounds()) -> None:
        self.bounds, self.items = bounds, Texts(items)
        self.texts = self.items.texts.take(pa.array(self.items.first)).combine_chunks()
        self.whole = words(self.texts)
        self.words = Vocabulary(self.whole)

    def seen(self, texts: pa.Array, times: Places) -> Places:
        """In how many rows each of the words stands, where each of these texts is there so many times."""
        return self.words.seen(words(texts), times)


class Search:
    """Looks for evaluation texts in rows, one part of the rows after another."""

    def __init__(self, suite: Suite, known: Known) -> None:
        self.bounds, self.known, self.items, self.whole = suite.bounds, known, suite.items, suite.whole
        self.kept, self.words = strip(self.whole, known.grams), suite.words
        own = self.words.seen(self.whole, np.ones(len(self.items), np.int64))
        self.bits = information(known.seen + own, known.worded + len(self.items))
        self.ids, self.offsets = self.words.ids(self.kept)
        self.covers = Covers(self.ids, self.offsets, self.bits, self.bounds.candidate)
        self.probes = {n: Probe(self.kept, n) for n in (8, 13)}
        every = np.empty(len(self.words.words), object)
        every[self.words.ids(self.whole)[0]] = [word for text in suite.texts.to_pylist() for word in split(text)]
        self.spelt = spelt(every.tolist())
        chance = math.log2(max(2, known.distinct * len(self.items)))
        self.least = {"whole": self.bounds.whole * chance, "part": self.bounds.part * chance}
        self.total = worth(*self.words.ids(self.whole), self.bits)

    def told(self) -> pa.Table:
        """What there is to find each item by: `words`, `kept` (those that are no boilerplate), `bits`, and whether it
        is a leak where it stands `whole`, and may be one in `part`. Where it may not, to find nothing says nothing."""
        which, item = self.items.all(np.arange(len(self.items)))
        told = {
            "words": np.diff(self.offsets),
            "kept": sizes(self.kept),
            "bits": self.total,
            "whole": self.total >= self.least["whole"],
            "part": self.covers.total >= self.least["part"],
        }
        out = {name: np.zeros(len(self.items.texts), column.dtype) for name, column in told.items()}
        for name, column in told.items():
            out[name][item] = column[which]
        return pa.table(out)

    def find(self, texts: pa.Array, times: Places) -> pa.Table:
        """What `spread` needs of distinct rows, each there so many times: `row` (place in texts), `item` (of the
        distinct ones), and `FOUND`."""
        lists = words(texts)
        keys = digests(*columns(lists))
        stripped = strip(lists, self.known.grams)
        found = [self._same(lists, keys), *self._runs(stripped), *self._shared(texts, stripped)]
        row, item, tier, coverage, bits = (np.concatenate(column) for column in zip(*found, strict=True))
        whole, run = tier == 1, (tier == 2) | (tier == 3)
        said = times[row] > max(2, self.bounds.said * self.known.rows)
        enough = bits >= np.where(whole & ~said, self.least["whole"], self.least["part"])
        natural = ~enough | (run & (coverage < self.bounds.run))
        order = np.lexsort((tier, natural, item, row))
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(row[order]) != 0) | (np.diff(item[order]) != 0)
        keep = order[first]
        row, told = row[keep], (item[keep], tier[keep], coverage[keep], bits[keep], natural[keep])
        return pa.table([row, keys[row], times[row], *told], FOUND)

    def spread(self, found: pa.Table, rows: Texts) -> pa.Table:
        """`row`, `item` (places), `tier` (the strongest), `coverage` (share of the item's words that were found; of its
        bits for a paraphrase), `bits` of the words found, `natural`, `said` (rows with the words of this row). By row
        and item. Of rows with the same words the first stands for all where the pair is natural; each is there where
        it is not.

        rows: all that the pairs are of; of a natural pair the first is enough."""
        digest, said, item, tier, coverage, bits, natural = (column.to_numpy() for column in found.columns[1:])
        which = np.searchsorted(rows.digests, digest)
        pair, row = rows.all(which)
        once = ~natural[pair] | (row == rows.first[which[pair]])
        again, item = self.items.all(item[pair[once]])
        row, pair = row[once][again], pair[once][again]
        tier = tier[pair]
        same = np.flatnonzero(tier == 1)
        equal = pc.equal(rows.texts.take(pa.array(row[same])), self.items.texts.take(pa.array(item[same])))
        tier[same[equal.to_numpy()]] = 0
        order = np.lexsort((item, row))
        pair = pair[order]
        names = pa.DictionaryArray.from_arrays(pa.array(tier[order].astype(np.int8)), pa.array(TIERS))
        told = {"coverage": coverage[pair], "bits": bits[pair], "natural": natural[pair], "said": said[pair]}
        return pa.table({"row": row[order], "item": item[order], "tier": names, **told})

    def _same(self, lists: pa.LargeListArray, keys: Hashes) -> _Found:
        """Rows that have an item's words and no others."""
        values, offsets = columns(lists)
        item = np.minimum(np.searchsorted(self.items.digests, keys), len(self.items) - 1)
        row = np.flatnonzero(self.items.digests[item] == keys) if len(self.items) else np.zeros(0, np.int64)
        item = item[row]
        equal = _equal(values, offsets, row, *columns(self.whole), item)
        row, item = row[equal], item[equal]
        return _found(row, item, 1, np.ones(len(row)), self.total[item])

    def _runs(self, stripped: pa.LargeListArray) -> Iterator[_Found]:
        """Rows that share 8 words in a row; and of these those that share 13."""
        rows = np.arange(len(stripped))
        for n, tier in ((8, 3), (13, 2)):
            pairs = self.probes[n].probe(stripped.take(pa.array(rows)), self.ids, self.bits)
            row = rows[pairs["row"].to_numpy()]
            yield _found(row, *(pairs["item"].to_numpy(), tier, pairs["coverage"].to_numpy(), pairs["bits"].to_numpy()))
            rows = np.unique(row)

    def _shared(self, texts: pa.Array, stripped: pa.LargeListArray) -> Iterator[_Found]:
        """Rows that have most of an item's words: in order, in order but for misspellings, in any order."""
        ids, offsets = self.words.ids(stripped)
        pairs = self.covers.candidates(ids, offsets, self.least["whole"])
        row, item, bits = (pairs[name].to_numpy() for name in ("row", "item", "bits"))
        size = np.diff(self.covers.offsets)[item]
        share = self.covers.in_order(ids, pairs) / size
        yield _found(*_where(share >= self.bounds.lcs, row, item), 4, *_where(share >= self.bounds.lcs, share, bits))
        rest = share < self.bounds.lcs
        pairs, row, item, size = pairs.filter(pa.array(rest)), *_where(rest, row, item, size)
        few, at = np.unique(row, return_inverse=True)
        some, starts = self.words.ids(stripped.take(pa.array(few)))
        shift = starts[at] - offsets[row]
        for name in ("start", "end"):
            place = pairs.column_names.index(name)
            pairs = pairs.set_column(place, name, pa.array(pairs[name].to_numpy() + shift))
        length, bits = self.covers.misspelt(some, pairs, spelt_in(texts.take(pa.array(few)).to_pylist()), self.spelt)
        share = length / size
        like = share >= self.bounds.lcs
        yield _found(*_where(like, row, item), 5, *_where(like, share, bits))
        share = bits / self.covers.total[item]
        like = share >= self.bounds.paraphrase
        yield _found(*_where(like, row, item), 6, *_where(like, share, bits))


def look(
    rows: pa.Array | pa.ChunkedArray,
    items: pa.Array | pa.ChunkedArray,
    bounds: Bounds = Bounds(),
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[pa.Table, pa.Table]:
    """(each row that an item stands in, by `Search.spread`; `Search.told`). progress: is told the share done."""
    suite, among = Suite(items, bounds), Texts(rows)
    times = np.diff(among.ends)
    parts = 2 * sum(1 for _ in _cut(among.texts))
    done = count(1)

    def each(work: Callable[[pa.Array, Places], T]) -> Iterator[T]:
        for part in among.each(lambda texts, which: work(texts, times[which])):
            progress(next(done) / parts)
            yield part

    shown = among.texts.take(pa.array(np.sort(among.first[:SAMPLE]))).combine_chunks()
    known = Known(
        grams=boilerplate(shown, share=bounds.boilerplate),
        seen=np.sum([np.zeros(len(suite.words.words), np.int64), *each(suite.seen)], axis=0),
        rows=len(among.texts),
        worded=int(times.sum()),
        distinct=len(among),
    )
    search = Search(suite, known)
    return search.spread(pa.concat_tables([FOUND.empty_table(), *each(search.find)]), among), search.told()


def leaks(rows: pa.Array | pa.ChunkedArray, items: pa.Array | pa.ChunkedArray, bounds: Bounds = Bounds()) -> pa.Table:
    """Each row that an item stands in, by `Search.spread`."""
    return look(rows, items, bounds)[0]


_Found = tuple[Places, Places, Places, npt.NDArray[np.float64], npt.NDArray[np.float64]]
FOUND = pa.schema(
    {
        "row": pa.int64(),
        "digest": pa.uint64(),
        "said": pa.int64(),
        "item": pa.int64(),
        "tier": pa.int64(),
        "coverage": pa.float64(),
        "bits": pa.float64(),
        "natural": pa.bool_(),
    }
)


def _found(row: Places, item: npt.NDArray[np.signedinteger], tier: int, *told: npt.NDArray[np.float64]) -> _Found:
    return row, item.astype(np.int64), np.full(len(row), tier, np.int64), *told  # type: ignore[return-value]


def _where(mask: npt.NDArray[np.bool_], *columns: npt.NDArray[T]) -> tuple[npt.NDArray[T], ...]:  # type: ignore[type-var]
    return tuple(column[mask] for column in columns)


def _cut(texts: pa.ChunkedArray) -> Iterator[tuple[pa.Array, int]]:
    """(texts, the first one's place) in parts of so many bytes."""
    start = 0
    for chunk in texts.chunks:
        ends = np.cumsum(pc.fill_null(pc.binary_length(chunk), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        at = 0
        while at < len(chunk):
            until = max(at + 1, int(np.searchsorted(ends, (ends[at - 1] if at else 0) + CHUNK, side="right")))
            yield chunk[at:until], start + at
            at = until
        start += len(chunk)


@nb.njit(nb.uint64[::1](KEYS, AT), cache=True, nogil=True)
def digests(values, offsets):  # type: ignore[no-untyped-def]
    """One number for the words of each text in order; 0 for none."""
    out = np.zeros(len(offsets) - 1, np.uint64)
    for text in range(len(offsets) - 1):
        for at in range(offsets[text], offsets[text + 1]):
            out[text] = mixed(out[text] * np.uint64(0x9E3779B97F4A7C15) + values[at])
    return out


@nb.njit(nb.boolean[::1](KEYS, AT, AT, KEYS, AT, AT), cache=True, nogil=True)
def _equal(values, offsets, rows, own, own_offsets, items):  # type: ignore[no-untyped-def]
    """Whether each pair's words are the same."""
    out = np.zeros(len(rows), nb.boolean)
    for pair in range(len(rows)):
        a, b = offsets[rows[pair]], own_offsets[items[pair]]
        size = offsets[rows[pair] + 1] - a
        out[pair] = size == own_offsets[items[pair] + 1] - b
        for at in range(size):
            if not out[pair] or values[a + at] != own[b + at]:
                out[pair] = False
                break
    return out
