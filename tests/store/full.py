"""A small store with something of everything in it, and everything that can be read from one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from whence.data import CurationPlan, curate
from whence.data.steps import ExactDuplicate, Length
from whence.govern import change
from whence.records import Base, Feedback, Fingerprint, Prompt, Ref, Snapshot, Trace, Waiver, plain
from whence.store import Store, row_set
from whence.store.rows import SCHEMA


def fill(store: Store, take: Callable[..., Any]) -> Ref:
    """Two sources with people, slices and derived rows; a quarantine; a snapshot; words; traces. Returns the
    snapshot."""
    lines = [
        {
            "id": f"t{i}",
            "prompt": f"how do I block card {i % 9}?",
            "completion": "cards",
            "who": f"p{i % 4}",
            "lang": "en",
        }
        for i in range(40)
    ]
    tickets = take([*lines, {"id": "bad"}], id="id", subject="who", slices=["lang"])
    told = [{"text": f"about card {i}", "id": f"d{i}", "of": [f"tickets:t{i}"]} for i in range(6)]
    derived = take(told, "derived", id="id", parents="of")
    plan = CurationPlan(
        name="cards",
        ingests=[tickets.run, derived.run],
        steps=[("exact_duplicate", ExactDuplicate()), ("length", Length(min_chars=3))],
        withdrawn=row_set([]),
        groups={},
        inputs={},
    )
    snapshot, _ = curate(store, plan)
    letter = datetime(2026, 11, 1, tzinfo=UTC)
    change(store, "subject:nobody", "withdraw", valid_at=letter, reason="they wrote us a letter")
    print_ = Fingerprint(weights="b3:0", shapes="sha256:1", tokenizer="sha256:2", template="sha256:3")
    base = store.put(Base(name="base", location="./base", fingerprint=print_))
    store.put(Prompt(template="t", text="subject-x"))
    journal, moment = store.journal("trace"), datetime(2026, 11, 1, tzinfo=UTC)
    entries = []
    for n in range(3):
        entry = journal.append({"messages": [f"secret {n}"]}, {"id": f"t{n}"})
        trace = Trace(
            id=f"trace-{n}", deployment=base, release=base, at=moment, duration_s=0.5, prompt_tokens=3,
            completion_tokens=4, finish="stop", consent="train", subject=None, content=entry.digest,
        )  # fmt: skip
        entries.append((entry, trace))
    store.add_traces(entries[:2])
    store.add_traces(entries[2:])
    with store.transaction():
        words = store.write_words("feedback", {"text": "wrong card"})
        said = store.put(
            Feedback(
                trace="trace-1", surface="api", actor="user", intent="comment", value=None, at=moment, content=words
            )
        )
        store.append("feedback.recorded", store.latest(Trace, "trace-1")[0], {"feedback": said, "intent": "comment"})
        reason = store.write_words("payload", {"reason": "it is only a pilot"})
        store.put(Waiver(verdict=base, person="me", reason=reason, expires_at=moment))
    with store.writer("settle"):
        store.settle()
    return snapshot


def everything(store: Store) -> dict[str, Any]:
    """All that a reader can get out of a store."""
    table = store.rows.table(SCHEMA.names, f"ord < {store.committed()}").sort_by("ord")
    return {
        "records": sorted(store.bodies()),
        "by kind": [(ref, plain(noun)) for ref, noun in store.all(Snapshot) + store.all(Trace)],
        "events": [(plain(event), stored) for event, stored in store.chain()],
        "edges": store.all_edges(),
        "rows": table.to_pylist(),
        "index": {k: list(store.index().sets[k].items()) for k in store.index().sets},
        "words": {e.digest: store.journal(kind).read(e) for kind, e in store.all_words()},
        "blobs": {name: store.blobs.get(name) for name in store.blobs.names()},
        "keys": dict(store.keys._keys),
    }


def tamper(store: Store, statement: str, **values: object) -> int:
    """What somebody does who can write to the database: no foreign key stops it. Returns the number of rows changed."""
    foreign = store._engine.dialect.name == "postgresql"
    with store._engine.connect() as connection:
        off = "SET session_replication_role = replica" if foreign else "PRAGMA foreign_keys = OFF"
        on = "SET session_replication_role = DEFAULT" if foreign else "PRAGMA foreign_keys = ON"
        raw = connection.connection.driver_connection
        raw.execute(off)
        changed = connection.execute(sa.text(statement), values).rowcount
        connection.commit()
        raw.execute(on)
        connection.commit()
    return changed
