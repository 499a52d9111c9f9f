"""A file that is read again after rows of it were erased: nothing twice, and nothing comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from store.finder import places
from whence.data import CurationPlan, curate
from whence.data.near import NearDuplicate
from whence.evaluate import put_suite
from whence.govern import Told, tell
from whence.lifecycle.findings import examples
from whence.project import load_checks
from whence.records import Item, Prompt, Shot, Suite, plain
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


def test_the_checks_of_data_speak_of_an_older_snapshot_and_of_what_is_left_of_a_suite(
    store: Store, take: Callable[..., Any]
) -> None:
    """A row, an item that stood in it, and the example of a prompt are gone: every check speaks of what is left."""
    report = take(LINES, id="id", subject="who")
    step = NearDuplicate(action="remove", rules=("eighth=eighth",))
    plan = CurationPlan(
        name="p", ingests=[report.run], steps=[("near_duplicate", step)], withdrawn=row_set([]), groups={}, inputs={}
    )
    ref, _ = curate(store, plan)
    items = [Item(id="i0", input=SECRET, expected="yes"), Item(id="i1", input="is it there", expected="no")]
    suites = {name: put_suite(store, name, name, "exact", items) for name in ("dev", "gate")}  # type: ignore[arg-type]
    store.put(Prompt(template="instructed", text="", shots=(Shot(suite=suites["dev"], item="i0"),)))
    checks = {name: check for name, check in load_checks().items() if name.startswith("data.")}
    assert len(checks) >= 4
    before = {name: [one.verdict for one in check(store, ref)] for name, check in checks.items()}
    assert before["data.leaks"] == ["fail", "fail"]
    blob = store.get(suites["gate"], Suite).items
    erase(store, "case:1", row_set([8]), blobs={blob: store.put_lines([plain(items[1])])})
    assert places(store.root, SECRET) == []
    for check in checks.values():
        for finding in check(store, ref):
            assert finding.message
            assert all(SECRET not in str(one) for one in examples(store, finding, 10, words=True))
    later, _ = curate(store, replace(plan, ingests=[again(store, take, LINES, id="id", subject="who").run]))
    for check in checks.values():
        assert "fail" not in {one.verdict for one in check(store, later)}
    assert verify(store) == []
