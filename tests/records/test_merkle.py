"""The Merkle root: any order, no other set."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from whence.records import ids_root, merkle_root

LEAVES = st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=12)


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def test_small_trees_by_hand() -> None:
    assert merkle_root([]) == "sha256:" + hashlib.sha256(b"").hexdigest()
    assert merkle_root([b"a"]) == "sha256:" + leaf(b"a").hex()
    three = node(node(leaf(b"a"), leaf(b"b")), leaf(b"c"))
    assert merkle_root([b"c", b"a", b"b"]) == "sha256:" + three.hex()


@settings(max_examples=40, deadline=None)
@given(LEAVES, st.randoms())
def test_order_does_not_matter_and_everything_else_does(leaves: list[bytes], random: object) -> None:
    root, shuffled = merkle_root(leaves), leaves[:]
    random.shuffle(shuffled)
    assert merkle_root(shuffled) == root
    assert merkle_root(iter(leaves)) == root
    for i in range(len(leaves)):
        assert merkle_root([*leaves[:i], leaves[i] + b"!", *leaves[i + 1 :]]) != root
        assert merkle_root([*leaves, leaves[i]]) != root
        assert merkle_root(leaves[:i] + leaves[i + 1 :]) != root


@settings(max_examples=40, deadline=None)
@given(LEAVES, LEAVES)
def test_two_multisets_never_share_a_root(one: list[bytes], other: list[bytes]) -> None:
    assert (merkle_root(one) == merkle_root(other)) == (sorted(one) == sorted(other))


def test_a_node_cannot_pose_as_a_leaf() -> None:
    """Without separate domains, a tree of two leaves has the root of a tree whose one leaf is their concatenation."""
    a, b = sorted([leaf(b"a"), leaf(b"b")])
    root = merkle_root([b"a", b"b"])
    assert root in ("sha256:" + node(a, b).hex(), "sha256:" + node(b, a).hex())
    assert merkle_root([a + b]) != root
    assert merkle_root([b"\x01" + a + b]) != root


def test_a_root_over_ids_is_a_tree_over_blocks_of_them() -> None:
    ids = [hashlib.sha256(bytes([n])).digest() for n in range(150)]
    ids.sort()
    blocks = [leaf(b"".join(ids[at : at + 64])) for at in (0, 64, 128)]
    assert ids_root(b"".join(ids)) == "tree64:" + node(node(blocks[0], blocks[1]), blocks[2]).hex()
    assert ids_root(ids[0]) == "tree64:" + leaf(ids[0]).hex()
    roots = {ids_root(b"".join(ids[:n])) for n in range(151)} | {ids_root(b"".join(ids[:9] + ids[10:]))}
    assert len(roots) == 152
