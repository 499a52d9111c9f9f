"""Terms that change behind a source's back are seen, in files and at addresses, and block what came after."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import whence
from whence.govern import blocked, change
from whence.records import Source
from whence.store import Store, verify


@pytest.fixture
def w(tmp_path: Path, clock: Any) -> Iterator[whence.Session]:
    (tmp_path / "terms.txt").write_text("You may use this as you like.")
    with whence.open(tmp_path, create=True, project=False, actor="ann@example.org", clock=clock) as session:
        for name, evidence in (("file", "terms.txt"), ("silent", None)):
            session.store.put(
                Source(name=name, kind="licensed", location=f"{name}.jsonl", licence="MIT", evidence=evidence)
            )
        yield session


def states(w: whence.Session, **how: bool) -> dict[str, str]:
    return {one.source: one.state for one in w.rights.watch(**how)}


def test_terms_that_change_are_recorded_once(w: whence.Session, tmp_path: Path) -> None:
    assert states(w) == {"file": "first seen", "silent": "nowhere"}
    assert states(w) == {"file": "same", "silent": "nowhere"}
    assert w.store.events("rights.*") == []
    (tmp_path / "terms.txt").write_text("You may not use this for anything that is sold.")
    assert states(w) == {"file": "changed", "silent": "nowhere"}
    assert states(w) == {"file": "same", "silent": "nowhere"}
    [event] = w.store.events("rights.*")
    assert (event.kind, event.about, event.data["reach"]) == ("rights.change", "source:file", "new")
    kept = w.store.blobs.get(event.data["evidence"])
    assert kept == b"You may not use this for anything that is sold."
    assert verify(w.store) == []
    next((w.store.root / "blobs").rglob(event.data["evidence"].removeprefix("sha256:")[-60:]), None)


def test_terms_that_are_gone_are_no_change(w: whence.Session, tmp_path: Path) -> None:
    states(w)
    (tmp_path / "terms.txt").unlink()
    assert states(w)["file"] == "gone"
    assert w.store.events("rights.*") == []


def test_an_address_is_looked_at_only_where_asked(w: whence.Session) -> None:
    pages = [b"first", b"first", b"second"]

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.pop(0)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}/terms"
    w.store.put(Source(name="page", kind="licensed", location="p.jsonl", licence="MIT", evidence=at))
    assert states(w)["page"] == "not looked at"
    assert [states(w, fetch=True)["page"] for _ in range(3)] == ["first seen", "same", "changed"]
    server.shutdown()
    server.server_close()
    assert states(w, fetch=True)["page"] == "gone"


def test_a_forged_dropped_or_reordered_event_is_found(store: Store) -> None:
    from sqlalchemy import text

    for person in range(6):
        change(store, f"subject:subject-{person}", "withdraw" if person % 2 else "grant")
    assert verify(store) == []
    assert len(blocked(store).why) == 3
    faults = {
        "forged": "UPDATE events SET kind = 'rights.grant' WHERE seq = {n}",
        "dropped": "DELETE FROM events WHERE seq = {n}",
        "moved": "UPDATE events SET valid_at = '2020-01-01T00:00:00.000000Z' WHERE seq = {n}",
        "somebody else's": "UPDATE events SET about = 'subject:subject-9' WHERE seq = {n}",
    }
    last = store.events("rights.withdraw")[0].seq
    for statement in faults.values():
        with store._engine.begin() as connection:
            kept = connection.execute(text("SELECT * FROM events ORDER BY seq")).mappings().all()
            connection.execute(text(statement.format(n=last)))
        assert any(finding.check == "store.chain" for finding in verify(store)), statement
        with store._engine.begin() as connection:
            connection.execute(text("DELETE FROM events"))
            columns = ", ".join(kept[0])
            values = ", ".join(f":{name}" for name in kept[0])
            connection.execute(text(f"INSERT INTO events ({columns}) VALUES ({values})"), [dict(row) for row in kept])  # noqa: S608
        assert verify(store) == []
    with store._engine.begin() as connection:  # two events change places
        connection.execute(text(f"UPDATE events SET seq = 1000 WHERE seq = {last}"))  # noqa: S608
        connection.execute(text(f"UPDATE events SET seq = {last} WHERE seq = {last + 1}"))  # noqa: S608
        connection.execute(text(f"UPDATE events SET seq = {last + 1} WHERE seq = 1000"))  # noqa: S608
    assert any(finding.check == "store.chain" for finding in verify(store))
