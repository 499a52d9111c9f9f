"""A person withdraws: rows that only name them go as well, and what was made of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from world import PRINT, freeze, model

from whence.govern import (
    Identifier,
    blocked,
    change,
    decide,
    identify,
    rights_digest,
    search,
    withdrawn_rows,
)
from whence.lifecycle.blast import blast_radius
from whence.records import Base
from whence.store import Store


def test_an_order_number_is_enough(store: Store, take: Callable[..., Any], clock: Any) -> None:
    rows = [
        {"id": "1", "text": "I am Ada, where is my parcel?", "who": "ada"},
        {"id": "2", "text": "Order #W7678072 came back, refund it."},
        {"id": "3", "text": "Order #W1111111 came back, refund it."},
        {"id": "4", "text": "ada lovelace wrote to us"},
    ]
    take(rows, id="id", subject="who")
    base = store.put(Base(name="base", location="./base", fingerprint=PRINT))
    everything = store.index().sets["source"].get("tickets")
    first = model(store, "all", base, freeze(store, "all", everything), everything)
    ada = store.keys.pseudonym("ada")
    change(store, f"subject:{ada}", "withdraw")
    assert set(withdrawn_rows(store)) == {0}
    before, digest = clock(), rights_digest(store)
    called = [("order", "#W7678072"), ("name", "Ada Lovelace")]
    identify(store, [Identifier(subject="ada", kind=kind, value=value) for kind, value in called])  # type: ignore[arg-type]
    search(store)
    assert set(withdrawn_rows(store)) == {0, 1}  # the name waits for a person
    assert rights_digest(store) != digest  # so that curation is done again
    assert [(one.id, one.rows) for one in blast_radius(store, [("subject", ada)]).adapters] == [(first, 2)]
    decide(store, ada, "accept")
    assert set(blocked(store).breach) == {0, 1, 3}
    assert set(blocked(store, as_of=before).breach) == {0}
    decide(store, ada, "refuse", [1])
    assert set(withdrawn_rows(store)) == {0, 3}
