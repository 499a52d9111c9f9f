"""Content that is erased is nowhere any more, by readers of the tests' own; ids and counts stay, and so does order."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.finder import confirmed, places
from whence.records import NotFound, encode
from whence.store import Store, erase, erased, row_set, verify
from whence.store.erasure import key_name
from whence.store.rows import RowFile

SECRET = "my card 4929-1111 was swallowed by the machine in Elm Street"


def lines(count: int = 40) -> list[dict[str, str]]:
    """Rows about four people and about nobody; 7 and 19 tell the secret, in the name of ada and of nobody."""
    people = ["ada", "bob", "cyd", None]
    rows = [{"id": str(n), "text": f"question number {n}", "who": people[n % 4]} for n in range(count)]
    rows[8] |= {"text": SECRET}
    rows[19] |= {"text": SECRET + "!"}
    return rows


@pytest.fixture
def filled(store: Store, take: Callable[..., Any]) -> Store:
    take(lines(), id="id", subject="who")
    for n in range(3):  # several fragments and versions
        take([{"id": f"m{n}-{k}", "text": f"more {n} {k}", "who": "bob"} for k in range(5)], f"more{n}", id="id",
             subject="who")  # fmt: skip
    return store


def stored(store: Store) -> list[dict[str, Any]]:
    return [row for batch in store.scan(["id", "content", "content_digest"]) for row in batch.to_pylist()]


def test_the_finder_finds(filled: Store) -> None:
    """A planted text is found in each kind of file before anything is said of its absence."""
    words = filled.write_words("trace", {"asked": SECRET})
    blob = filled.blobs.put(encode([SECRET]))
    assert {place.split(": ")[0].split("/")[0] for place in places(filled.root, SECRET)} == {
        "rows.lance",
        "journal",
        "blobs",
    }
    assert len(places(filled.root, "question number 3")) >= 2
    assert confirmed(filled.root, filled.keys.path, filled_content(filled, 8)) == 1
    assert (filled.words(words), json.loads(filled.blobs.get(blob))) == ({"asked": SECRET}, [SECRET])


def filled_content(store: Store, ordinal: int) -> str:
    return next(row["content"] for batch in store.scan(["content"], row_set([ordinal])) for row in batch.to_pylist())


def test_erased_is_gone_and_the_rest_stays(filled: Store) -> None:
    before, contents = stored(filled), [filled_content(filled, n) for n in (8, 19)]
    words = filled.write_words("trace", {"asked": SECRET})
    kept = filled.write_words("trace", {"asked": "something else"})
    blob, now = filled.blobs.put(encode([SECRET])), filled.blobs.put(encode([]))
    key = filled.keys.find(f"subject:{filled.row(8).subject}")
    done = erase(filled, "case:1", row_set([8, 19]), [words], {blob: now})
    assert done.data == {"begun": done.seq - 1, "rows": 2, "words": 1, "blobs": 1, "others": 18}
    assert places(filled.root.parent, SECRET) == ["tickets.jsonl: bytes"]  # the user's own file
    assert [confirmed(filled.root, filled.keys.path, content) for content in contents] == [0, 0]
    assert key is not None
    assert key.hex().encode() not in filled.keys.path.read_bytes()
    after = stored(filled)
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert [n for n, row in enumerate(after) if row["content"] is None] == [8, 19]
    assert [n for n, row in enumerate(after) if row["content_digest"] is None] == [8, 19]
    assert all(
        a["content"] == b["content"] for n, (a, b) in enumerate(zip(after, before, strict=True)) if n not in (8, 19)
    )
    assert (filled.row(8).content, filled.row(8).record) == (None, "8")
    assert filled.words(kept) == {"asked": "something else"}
    with pytest.raises(NotFound):
        filled.words(words)
    assert json.loads(filled.blobs.get(blob)) == []
    assert filled.blobs.put(encode([SECRET])) == blob  # what was erased does not come back
    assert json.loads(filled.blobs.get(blob)) == []
    assert verify(filled) == []
    assert filled.rows.versions() == 1


@pytest.mark.parametrize("stop", ["rewritten", "keyed", "worded", "blobbed"])
@pytest.mark.fault
def test_killed_in_the_middle_the_next_writer_ends_it(
    filled: Store, take: Callable[..., Any], stop: str, tmp_path: Path
) -> None:
    """A process is killed behind each part of an erasure; until the next writer comes the store verifies."""
    words, blob = filled.write_words("trace", {"asked": SECRET}), filled.blobs.put(encode([SECRET]))
    script = tmp_path / "die.py"
    script.write_text(textwrap.dedent(KILLED))
    done = subprocess.run(
        [sys.executable, str(script), str(filled.root), stop, words, blob], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [event.kind for event in filled.events("erasure.*")] == ["erasure.begun"]
    assert len(erased(filled).unfinished) == 1
    assert verify(filled) == []
    take([{"id": "late", "text": "a late row", "who": "ada"}], "late", id="id", subject="who")
    assert [event.kind for event in filled.events("erasure.*")] == ["erasure.begun", "erasure.done"]
    assert places(filled.root, SECRET) == []
    assert verify(filled) == []
    with contextlib.closing(Store.open(filled.root)) as again:
        assert verify(again) == []


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from whence.store import Store, erase, row_set

    root, stop, words, blob = sys.argv[1:]
    store = Store.open(Path(root))
    at = {"rewritten": (store.keys, "renew"), "keyed": (store, "places_of"), "worded": (store.blobs, "erase"),
          "blobbed": (store, "append")}[stop]
    kept = getattr(*at)

    def die(*args, **named):
        if stop != "blobbed" or args[0] == "erasure.done":
            os.kill(os.getpid(), signal.SIGKILL)
        return kept(*args, **named)

    setattr(*at, die)
    erase(store, "case:1", row_set([8, 19]), [words], {blob: ""})
"""


def test_a_full_disk_says_so_and_loses_nothing(filled: Store, tmp_path: Path) -> None:
    """A file may not grow beyond what the row file's parts need: the rewrite ends, and nothing is called done."""
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(FULL))
    before = stored(filled)
    done = subprocess.run([sys.executable, str(script), str(filled.root)], capture_output=True, text=True, check=False)
    assert "BackendFailed" in done.stdout, done.stdout + done.stderr
    assert filled.events("erasure.done") == []
    assert [row["id"] for row in stored(filled)] == [row["id"] for row in before]
    assert verify(filled) == []
    with filled.writer("test"):
        pass
    assert len(filled.events("erasure.done")) == 1
    assert places(filled.root, SECRET) == []
    assert verify(filled) == []


FULL = """
    import resource, signal, sys
    from pathlib import Path
    from whence.records import BackendFailed
    from whence.store import Store, erase, row_set

    store = Store.open(Path(sys.argv[1]))
    rewrite = store.rows.rewrite

    def full(*args):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        rewrite(*args)

    store.rows.rewrite = full
    try:
        erase(store, "case:1", row_set([8, 19]))
    except BackendFailed as error:
        print("BackendFailed", error)
"""


def test_what_is_called_erased_and_is_not_is_found(filled: Store) -> None:
    erase(filled, "case:1", row_set([8]))
    assert verify(filled) == []
    filled.append(
        "erasure.begun", "case:2", filled.events("erasure.begun")[0].data | {"set": filled.put_set(row_set([9]))}
    )
    begun = filled.events("erasure.begun", last=True)[0]
    filled.append("erasure.done", "case:2", {"begun": begun.seq})
    assert ["was erased and has content" in found.message for found in verify(filled)] == [True]


def test_an_erasure_of_a_person_ends_their_key(filled: Store, take: Callable[..., Any]) -> None:
    """All rows of one person: the key is destroyed, not replaced; rows that come later get a new one."""
    person = filled.row(0).subject
    rows = filled.index().sets["subject"].get(person)
    done = erase(filled, "case:1", rows)
    assert (done.data["others"], len(rows)) == (0, 10)
    assert f"subject:{person}" not in filled.keys
    with contextlib.closing(Store.open(filled.root)) as again:
        assert f"subject:{person}" not in again.keys
    take([{"id": "new", "text": "I am back", "who": "ada"}], "back", id="id", subject="who")
    assert f"subject:{person}" in filled.keys
    assert verify(filled) == []
    assert key_name("s", None) == "source:s"


def test_overlapping_erasures(filled: Store) -> None:
    erase(filled, "case:1", row_set([8, 19]))
    done = erase(filled, "case:2", row_set([19, 20]))
    assert done.data["rows"] == 1
    assert [n for n, row in enumerate(stored(filled)) if row["content"] is None] == [8, 19, 20]
    assert erase(filled, "case:3", row_set([8])).data["rows"] == 0
    assert verify(filled) == []


def test_another_session_does_not_go_on_with_a_destroyed_key(filled: Store, take: Callable[..., Any]) -> None:
    person = filled.row(0).subject
    with contextlib.closing(Store.open(filled.root, actor="other@example.org")) as other:
        erase(other, "case:1", other.index().sets["subject"].get(person))
    take([{"id": "new", "text": "I am back", "who": "ada"}], "back", id="id", subject="who")
    assert verify(filled) == []


def test_a_full_disk_while_small_files_are_joined(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction ends with a clear error and loses nothing; the next one, with space, joins them, and an erasure after
    either leaves nothing."""
    script = tmp_path / "full.py"
    script.write_text(textwrap.dedent(CRAMPED))
    before = stored(filled)
    done = subprocess.run([sys.executable, str(script), str(filled.root)], capture_output=True, text=True, check=False)
    assert "rows.lance cannot be written" in done.stdout, done.stdout + done.stderr
    assert stored(filled) == before
    assert verify(filled) == []
    monkeypatch.setattr("whence.store.rows.SMALL_FRAGMENTS", 2)
    with filled.writer("settle"):
        filled.settle()
    erase(filled, "case:1", row_set([8, 19]))
    assert places(filled.root, SECRET) == []
    assert verify(filled) == []


CRAMPED = """
    import resource, sys
    from pathlib import Path
    from whence.records import BackendFailed
    from whence.store import Store, rows
    from whence.store.index import Index

    rows.SMALL_FRAGMENTS, save = 2, Index.save

    def saved(self, folder):
        save(self, folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

    Index.save = saved
    store = Store.open(Path(sys.argv[1]))
    try:
        with store.writer("settle"):
            store.settle()
    except BackendFailed as error:
        print(error)
"""


@pytest.mark.parametrize("how", ["all", "some", "counted"])
def test_who_opened_the_row_file_before_it_was_written_anew_reads_on(
    filled: Store, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What another process does between opening and reading, at that very moment."""
    opened, rows, done = RowFile._open, filled.rows, list[int]()

    def late(self: RowFile) -> Any:
        dataset = opened(self)
        if not done:
            done.append(1)
            erase(filled, "case:1", row_set([8, 19]))
        return dataset

    total = filled.committed()
    monkeypatch.setattr(RowFile, "_open", late)
    if how == "counted":
        assert rows.count(0, total) == total
    else:
        asked = row_set([3, 8, 30]) if how == "some" else None
        found = [ordinal for batch in filled.scan(["content"], asked) for ordinal in batch["ord"].to_pylist()]
        assert found == ([3, 8, 30] if how == "some" else list(range(total)))
    assert done
