"""Where a text names something of which only keyed digests are kept.

Texts and identifiers are folded alike (case, accents, width, invisible characters) and cut into runs of letters and
runs of digits, so that ``#W7678072``, ``w-7678072`` and ``W 7678072`` are the same two tokens. Of an identifier the
digest of its first token and that of all of them are kept, and how many there are.
"""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TOKEN = re.compile(r"[^\W\d_]+|\d+")
ASCII_TOKEN = re.compile("[a-z]+|[0-9]+")
"""The same for folded ASCII text, three times as fast."""
SPACES = {ord(mark): " " for mark in string.punctuation}
GAP = 4
"""characters that may stand between two tokens of one identifier: ``", "`` in a list is four"""
NUMBER = 7
"""digits; a number of as many may be written in groups, ``555 010-9999``"""
KEPT = 1 << 19
"""pieces of text, and windows, that a finder remembers before it forgets them"""
AT_ONCE = 4096
"""tokens of one text in memory"""
DIGEST_BYTES = 16

INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
COMBINING = re.compile("[\u0300-\u036f]")
OTHER_DIGIT = re.compile(r"[^\D0-9]")
IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""Written without spaces between words: each is a token."""
ESCAPE = re.compile(r'\\+(?:u([0-9a-fA-F]{4})|["/bfnrt])?')
DOUBTFUL = re.compile(r"\\\\[bfnrtu]")
BULK_ESCAPES = tuple(b"\\" + letter for letter in (b"n", b"t", b"r", b"f", b"b"))
NOT_IN_BULK = r"\\\\|\\u"
"""What only `folded` reads right: a backslash of the text itself, and characters by number."""
LOWER = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
"""ASCII bytes → lower case, spaces for all that is no letter and no digit."""
GROUPS = re.compile(r"\d+(?:[ ().+/‐-―-]{1,3}\d+)+")
DIGITS = re.compile(r"\d+")


def fold(text: str) -> str:
    """The text as it is compared: lower case, without accents, ASCII digits, ideographs apart."""
    if text.isascii():
        return text.lower()
    bare = COMBINING.sub("", unicodedata.normalize("NFKD", text.translate(INVISIBLE)))
    folded = unicodedata.normalize("NFKC", bare).casefold()
    return IDEOGRAPH.sub(r" \g<0> ", OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), folded))


def folded(content: str) -> Iterator[str]:
    """The folded text of a row's content, which is JSON: escapes are undone, those of JSON inside a text too. Where a
    letter may be an escape's or a word's (``C:\\new``), once the one and once the other."""
    if "\\" not in content:
        yield fold(content)
        return
    yield fold(ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", content))
    if DOUBTFUL.search(content):
        yield fold(content.replace("\\", " "))


def tokens_of(value: str) -> tuple[str, ...]:
    """The tokens of an identifier; a number in groups is one."""
    found = tuple(TOKEN.findall(fold(value)))
    number = "".join(found)
    return (number,) if number.isdigit() and len(number) >= NUMBER else found


class Mark(NamedTuple):
    """What is kept of an identifier so that it can be found. A tuple: there are many."""

    tokens: int
    """how many it has"""
    digits: int
    """of a number that may be written in groups; 0: it is none"""
    first: bytes
    """keyed digest of its first token"""
    whole: bytes
    """keyed digest of all its tokens"""


def mark_of(key: bytes, tokens: Sequence[str]) -> Mark:
    """The mark of these tokens under a key of 32 bytes."""
    number = len(tokens[0]) if len(tokens) == 1 and tokens[0].isdigit() and len(tokens[0]) >= NUMBER else 0
    return Mark(len(tokens), number, _digest(key, tokens[0], b"first"), _digest(key, " ".join(tokens), b"whole"))


def _digest(key: bytes, text: str, what: bytes) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=DIGEST_BYTES, key=key, person=what).digest()


class Finder:
    """Finds marks in texts. A piece of text between spaces and punctuation is looked at once; when it comes again it
    costs a look into a set."""

    def __init__(self, key: bytes, marks: Iterable[Mark]) -> None:
        self._key = key
        counts: dict[bytes, set[int]] = {}
        whole: dict[bytes, list[int]] = {}
        digits: set[int] = set()
        for place, mark in enumerate(marks):
            counts.setdefault(mark.first, set()).add(mark.tokens)
            whole.setdefault(mark.whole, []).append(place)
            digits.add(mark.digits)
        self._digits = digits - {0}
        self._longest = max((tokens for found in counts.values() for tokens in found), default=0)
        self._counts = {first: tuple(sorted(found)) for first, found in counts.items()}
        self._whole = {digest: tuple(places) for digest, places in whole.items()}
        self._firsts: dict[str, tuple[int, ...]] = {}  # first token → how many tokens there are in all
        self._met: set[str] = set()  # pieces
        self._hot: set[str] = set()  # pieces with a first token
        self._numeric: set[str] = set()  # pieces with a digit
        self._windows: dict[str, tuple[int, ...]] = {}

    def find(self, content: str) -> set[int]:
        """Places, among the marks, of those that a row's content names."""
        return {place for text in folded(content) for place, _, _ in self.spans(text)}

    def find_all(self, contents: pa.LargeStringArray) -> Iterator[tuple[int, set[int]]]:
        """(position in the column, places) of the rows that name any. Most rows hold no piece that matters, which is
        seen for all of them at once; their order is kept."""
        for at in self._candidates(contents):
            found = self.find(contents[at].as_py())
            if found:
                yield at, found

    def _candidates(self, contents: pa.LargeStringArray) -> list[int]:
        """Positions of rows that are to be looked at one by one."""
        if not self._whole:
            return []
        odd = pc.or_(pc.invert(pc.string_is_ascii(contents)), pc.match_substring_regex(contents, NOT_IN_BULK))
        alone = odd.fill_null(False).to_numpy(zero_copy_only=False)
        plain = np.flatnonzero(~alone & contents.is_valid().to_numpy(zero_copy_only=False))
        lists = pc.ascii_split_whitespace(_plain(contents.take(plain)))
        coded = lists.flatten().dictionary_encode()
        pieces = coded.dictionary.to_pylist()
        if not self._met.issuperset(pieces):
            self._meet(pieces)
        codes = coded.indices.to_numpy()
        row = np.repeat(plain, np.diff(lists.offsets.to_numpy()))
        hot = np.array([piece in self._hot for piece in pieces], bool)[codes]
        if self._digits:
            number = np.array([piece in self._numeric for piece in pieces], bool)[codes]
            hot[:-1] |= number[:-1] & number[1:] & (row[:-1] == row[1:])
        return np.unique(np.concatenate([np.flatnonzero(alone), row[hot]])).tolist()

    def spans(self, text: str) -> Iterator[tuple[int, int, int]]:
        """(place among the marks, from, to) of what a folded text names."""
        pieces = text.translate(SPACES).split()
        if not self._met.issuperset(pieces):
            self._meet(pieces)
        if not self._hot.isdisjoint(pieces):
            yield from self._windows_in(text)
        if self._digits and not self._numeric.isdisjoint(pieces):
            yield from self._numbers_in(text)

    def _meet(self, pieces: list[str]) -> None:
        if len(self._met) > KEPT:
            self._met.clear()
            self._numeric.clear()
        for piece in set(pieces) - self._met:
            tokens = TOKEN.findall(piece)
            for at, token in enumerate(tokens):
                counts = self._counts.get(_digest(self._key, token, b"first"))
                if counts:
                    self._firsts[token] = counts
                    if any(at + n > len(tokens) or self._known(" ".join(tokens[at : at + n])) for n in counts):
                        self._hot.add(piece)
            if self._digits and any(map(str.isdigit, tokens)):
                self._numeric.add(piece)
            self._met.add(piece)

    def _windows_in(self, text: str) -> Iterator[tuple[int, int, int]]:
        pattern, held = ASCII_TOKEN if text.isascii() else TOKEN, list[tuple[str, int, int]]()
        for match in pattern.finditer(text):
            held.append((match[0], *match.span()))
            if len(held) > AT_ONCE + self._longest:
                yield from self._starting(text, held, AT_ONCE)
                del held[:AT_ONCE]
        yield from self._starting(text, held, len(held))

    def _starting(self, text: str, held: list[tuple[str, int, int]], count: int) -> Iterator[tuple[int, int, int]]:
        """Of windows that start with one of the first `count` of these tokens."""
        for at in range(count):
            token, start, _ = held[at]
            for length in self._firsts.get(token, ()):
                window = held[at : at + length]
                places = self._known(" ".join([token for token, _, _ in window])) if len(window) == length else ()
                near = all(b[1] - a[2] <= GAP for a, b in pairwise(window))
                if places and near and not _inside(text, start, window[-1][2]):
                    yield from ((place, start, window[-1][2]) for place in places)

    def _numbers_in(self, text: str) -> Iterator[tuple[int, int, int]]:
        longest = max(self._digits)
        for run in GROUPS.finditer(text):
            groups = [(g[0], run.start() + g.start(), run.start() + g.end()) for g in DIGITS.finditer(run[0])]
            for at, (number, start, _) in enumerate(groups):
                for more, _, end in groups[at + 1 : at + 1 + longest]:
                    number += more
                    if len(number) > longest:
                        break
                    if len(number) in self._digits and not _inside(text, start, end):
                        yield from ((place, start, end) for place in self._known(number))

    def _known(self, window: str) -> tuple[int, ...]:
        """Places of the marks of this window; the digest of one that was asked before is not made again."""
        places = self._windows.get(window)
        if places is None:
            if len(self._windows) > KEPT:
                self._windows.clear()
            places = self._windows[window] = self._whole.get(_digest(self._key, window, b"whole"), ())
        return places


def _plain(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """ASCII texts in lower case, with spaces for all that is no letter and no digit; as long as they were."""
    _, offsets, data = texts.buffers()
    held = bytes(data or b"")
    for escape in BULK_ESCAPES if b"\\" in held else ():
        held = held.replace(escape, b"  ")
    return pa.LargeStringArray.from_buffers(len(texts), offsets, pa.py_buffer(held.translate(LOWER)))


def _inside(text: str, start: int, end: int) -> bool:
    """Whether letters or digits go on at either side: ``w7678072`` is not in ``w76780725`` nor in ``aw7678072``."""
    return text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()
