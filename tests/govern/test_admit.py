"""What ingest is told about rights: the code of what is missing, row by row, and nothing assumed."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from whence.govern import admitter, change, rights_digest
from whence.records import Source
from whence.store import Store


def source(basis: str | None) -> Source:
    return Source(name="s", kind="licensed", location="s", consent_basis=basis)


@pytest.mark.parametrize(
    "basis", [None, "consent", "contract", "legitimate-interest", "legal-duty", "not-personal", "?"]
)
@pytest.mark.parametrize("gone", [(), ("subject:p",), ("licence:MIT",), ("subject:p", "licence:MIT"), ("source:s",)])
def test_every_combination(store: Store, basis: str | None, gone: tuple[str, ...]) -> None:
    for about in gone:
        change(store, about, "withdraw")
    admit, personal = admitter(store), basis in ("consent", "contract", "legitimate-interest", "legal-duty")
    rows = list(product([None, "p", "q"], [None, "MIT", "CC0-1.0"]))
    expected = []
    for subject, licence in rows:
        if gone == ("source:s",):
            expected.append("withdrawn")
        elif licence is None:
            expected.append("no_licence")
        elif subject and not personal:
            expected.append("no_consent_basis")
        else:
            out = f"subject:{subject}" in gone or f"licence:{licence}" in gone
            expected.append("withdrawn" if out else None)
    assert admit(source(basis), [s for s, _ in rows], [w for _, w in rows], [None] * len(rows)) == expected
    assert admit(source(basis), [], [], []) == []


def test_the_digest_of_rights_follows_what_holds(store: Store, clock: Any) -> None:
    none = rights_digest(store)
    change(store, "subject:p", "withdraw")
    withdrawn = rights_digest(store)
    change(store, "subject:p", "withdraw")
    assert rights_digest(store) == withdrawn != none
    change(store, "subject:p", "grant", valid_at=clock.now + timedelta(days=1))
    assert rights_digest(store) == withdrawn
    clock.skip(days=2)
    assert rights_digest(store) not in (none, withdrawn)


def test_reasons_lie_apart(store: Store) -> None:
    change(store, "subject:p", "withdraw", reason="moved abroad")
    event = store.events("rights.withdraw")[0]
    assert "abroad" not in str(event)
    assert store.words(event.payload or "")["reason"] == "moved abroad"
