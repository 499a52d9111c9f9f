"""What rows ask, so that requests can be routed to what was trained on them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from whence.store import RowSet, Store
from whence.text import wanted
from whence.train.rows import messages_of


def questions(store: Store, rows: RowSet) -> Iterator[str]:
    """What each of these rows asks, normalised; those whose content was erased are passed over."""
    for batch in store.scan(["content"], rows):
        yield from (wanted(messages_of(json.loads(text))) for text in batch["content"].to_pylist() if text)
