"""The key file: appended, synced, mended after a kill, never silently another."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from whence.records import Conflict, Damaged
from whence.store import KeyFile, Store, verify


def test_keys_are_made_once_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "whence.key"
    keys = KeyFile(path)
    made = {name: keys.get(name) for name in ("source:a", "subject:é\n", "pseudonyms")}
    assert len(set(made.values())) == 3
    assert all(len(key) == 32 for key in made.values())
    assert not path.exists()
    keys.save()
    keys.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = KeyFile(path)
    assert {name: again.find(name) for name in made} == made
    assert again.find("source:b") is None
    assert "source:a" in again
    assert "source:b" not in again
    assert len(path.read_bytes().splitlines()) == 3


def test_pseudonyms_are_stable_under_one_key_file_and_say_nothing(tmp_path: Path) -> None:
    keys, other = KeyFile(tmp_path / "a"), KeyFile(tmp_path / "b")
    name = keys.pseudonym("zoe@example.org")
    keys.save()
    assert KeyFile(tmp_path / "a").pseudonym("zoe@example.org") == name
    assert name.startswith("subject-")
    assert len(name) == 40
    assert other.pseudonym("zoe@example.org") != name
    assert keys.pseudonym("zoe@example.org ") != name


def test_keys_that_another_process_appended_are_seen(tmp_path: Path) -> None:
    one, two = KeyFile(tmp_path / "k"), KeyFile(tmp_path / "k")
    a = one.get("a")
    one.save()
    b = two.get("b")
    two.save()
    c = one.get("c")
    one.save()
    one.reload()
    two.reload()
    for keys in (one, two, KeyFile(tmp_path / "k")):
        assert [keys.find(n) for n in ("a", "b", "c")] == [a, b, c]


def test_two_processes_never_keep_two_keys_for_one_name(tmp_path: Path) -> None:
    one, two = KeyFile(tmp_path / "k"), KeyFile(tmp_path / "k")
    first = one.get("a")
    two.get("a")
    one.save()
    with pytest.raises(Conflict):
        two.save()
    assert two.get("a") == first
    two.save()
    assert KeyFile(tmp_path / "k").find("a") == first


@pytest.mark.parametrize("cut", [1, 2, 10, 60])
def test_a_torn_last_line_is_passed_over_and_stays_so(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "k"
    keys = KeyFile(path)
    a = keys.get("a")
    keys.save()
    keys.get("b")
    keys.save()
    path.write_bytes(path.read_bytes()[:-cut])
    after = KeyFile(path)
    assert after.find("a") == a
    assert after.find("b") is None
    b, c = after.get("b"), after.get("c")
    after.save()
    last = KeyFile(path)
    assert [last.find(n) for n in ("a", "b", "c")] == [a, b, c]
    last.get("d")
    last.save()
    assert KeyFile(path).find("d")


def test_a_changed_byte_anywhere_is_damage_or_the_same_keys(tmp_path: Path) -> None:
    path = tmp_path / "k"
    keys = KeyFile(path)
    made = {name: keys.get(name) for name in ("source:a", "pseudonyms")}
    keys.save()
    data, said = path.read_bytes(), set()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        try:
            found = KeyFile(path)
            held = {name: found.find(name) for name in made}
            assert held in (made, made | {"pseudonyms": None}), at  # the last line's end: as torn
        except Damaged as error:
            said.add(str(error))
    assert all(str(path) in text for text in said)
    assert not any(key.hex() in text for text in said for key in made.values())


@pytest.mark.parametrize("line", ["{}", "[]", "null", '{"name": "a", "key": "zz", "proof": ""}', "\udcff"])
def test_a_line_that_is_no_entry_is_damage(tmp_path: Path, line: str) -> None:
    (tmp_path / "k").write_bytes(line.encode("utf-8", "surrogateescape") + b"\n" + json.dumps({}).encode() + b"\n")
    with pytest.raises(Damaged):
        KeyFile(tmp_path / "k").find("a")


@pytest.mark.parametrize("left", ["nothing", "no key of pseudonyms", "no key of a source"])
def test_no_key_is_made_in_place_of_one_that_the_record_needs(full: Store, left: str) -> None:
    path = full.keys.path
    whole = path.read_bytes()
    source = next(r["source"] for b in full.scan(["source", "subject"]) for r in b.to_pylist() if not r["subject"])
    gone = {"no key of pseudonyms": b'"pseudonyms"', "no key of a source": f'"source:{source}"'.encode()}.get(
        left, b"{"
    )
    kept = [line for line in whole.splitlines(keepends=True) if gone not in line]
    path.write_bytes(b"".join(kept)) if kept else path.unlink()
    again = Store.open(full.root)
    with again.writer("a test"):
        if left != "no key of a source":
            with pytest.raises(Damaged, match="put the file back"):
                again.keys.pseudonym("customer 1")
        if left != "no key of pseudonyms":
            with pytest.raises(Damaged, match="put the file back"):
                again.keys.get(f"source:{source}")
        assert again.keys.get("source:new")
    assert (path.read_bytes() if path.exists() else None) == (b"".join(kept) or None), "the file is left as it was"
    assert {finding.check for finding in verify(again)} <= {"store.rows", "store.keys"}
    assert verify(again)
    path.write_bytes(whole)
    assert verify(Store.open(full.root)) == []
