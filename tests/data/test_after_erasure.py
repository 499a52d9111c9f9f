"""A file that is read again after rows of it were erased: nothing twice, and nothing comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.finder import places
from whence.govern import Told, tell
from whence.store import Store, erase, row_set, verify

SECRET = "the secret of the eighth line"
LINES = [
    {"id": str(n), "text": SECRET if n == 8 else f"text {n % 12}", "who": "ada" if n < 10 else None} for n in range(30)
]


def again(store: Store, take: Callable[..., Any], lines: list[dict[str, Any]], **fields: str) -> Any:
    """The same file under another right, so that it is read again."""
    tell(store, [Told(what="grant", about="licence:CC0-1.0")])
    return take(lines, **fields)


@pytest.mark.parametrize("fields", [{"id": "id", "subject": "who"}, {"id": "id"}, {"subject": "who"}, {}])
def test_nothing_twice_and_nothing_back(store: Store, take: Callable[..., Any], fields: dict[str, str]) -> None:
    first = take(LINES, **fields)
    rows = store.get_set(first.set)
    gone = next(b["ord"].to_pylist()[k] for b in store.scan(["ord", "content"]) for k in range(b.num_rows)
                if SECRET in b["content"][k].as_py())  # fmt: skip
    erase(store, "case:1", row_set([gone]))
    report = again(store, take, LINES, **fields)
    assert report.facts["quarantined"] == {"erased": 1}
    assert (report.facts["new"], store.get_set(report.set)) == (0, rows - row_set([gone]))
    assert places(store.root, SECRET) == []
    assert verify(store) == []


def test_a_new_line_in_a_changed_file_comes_in(store: Store, take: Callable[..., Any]) -> None:
    take(LINES, id="id", subject="who")
    erase(store, "case:1", row_set([8]))
    more = [{"id": "new", "text": "a new one", "who": "ada"}, *LINES]
    report = take(more, id="id", subject="who")
    assert (report.facts["new"], report.facts["quarantined"]) == (1, {"erased": 1})
    assert store.row(30).record == "new"
    assert verify(store) == []


def test_withdrawn_lines_are_not_kept_in_quarantine(store: Store, take: Callable[..., Any]) -> None:
    tell(store, [Told(what="withdraw", about=f"subject:{store.keys.pseudonym('ada')}")])
    report = take(LINES, id="id", subject="who")
    assert report.facts["quarantined"] == {"withdrawn": 10}
    assert places(store.root, SECRET) == []
    words = store.get_table(report.removed)["words"].to_pylist()
    assert not any("line" in store.words(one) for one in words)
