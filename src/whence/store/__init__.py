"""Records, events, rows, blobs: the only place that speaks SQL or opens a row file."""

from whence.store.actor import UNIDENTIFIED, identify
from whence.store.bulk import in_bulk
from whence.store.erasure import Erased, Renewed, erase, erased
from whence.store.keys import IDENTIFIERS, KeyFile
from whence.store.nouns import trace_head
from whence.store.rows import batch, row_name
from whence.store.sets import PackedSets, RowSet, row_set, to_array
from whence.store.store import Store, wall_clock
from whence.store.verify import verify

__all__ = [
    "IDENTIFIERS",
    "UNIDENTIFIED",
    "Erased",
    "KeyFile",
    "PackedSets",
    "Renewed",
    "RowSet",
    "Store",
    "batch",
    "erase",
    "erased",
    "identify",
    "in_bulk",
    "row_name",
    "row_set",
    "to_array",
    "trace_head",
    "verify",
    "wall_clock",
]
