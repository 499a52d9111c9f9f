"""Feedback is checked, its words lie apart, and it refers to the trace it is about."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from serve.shelf import paper_adapter, paper_base, shelve
from whence.feedback import send
from whence.records import Feedback, NotFound, Ref, Trace, Unmet
from whence.serve import leases
from whence.serve.traces import TraceLog
from whence.store import Store, verify


@pytest.fixture
def trace(store: Store, tmp_path: Path) -> Ref:
    made = shelve(store, paper_base(tmp_path / "base"), {"desk@1": paper_adapter(tmp_path / "adapter")})
    deployment = leases.start(store, made["desk@1"], "http://127.0.0.1:1", 60.0)
    kept = TraceLog(store)
    kept.keep(
        Trace(
            id="chatcmpl-1",
            deployment=deployment,
            release=made["desk@1"],
            at=store.clock(),
            duration_s=0.1,
            prompt_tokens=1,
            completion_tokens=1,
            finish="stop",
            consent="train",
            subject=None,
            content="",
        ),
        {"messages": [], "answer": "hello"},
    )
    kept.flush()
    return store.latest(Trace, "chatcmpl-1")[0]


def test_each_intent(store: Store, trace: Ref) -> None:
    common = {"surface": "cli", "actor": "reviewer"}
    names = [
        send(store, "chatcmpl-1", intent="rating", value=-1, **common),
        send(store, "chatcmpl-1", intent="rating", value=0.5, text="nearly", **common),
        send(store, "chatcmpl-1", intent="correction", text="Guten Tag", **common),
        send(store, "chatcmpl-1", intent="comment", text="too short", **common),
        send(store, "chatcmpl-1", intent="flag", **common),
    ]
    kept = [store.get(name, Feedback) for name in names]
    assert [f.value for f in kept] == [-1.0, 0.5, None, None, None]
    assert [store.words(f.content).get("text") for f in kept] == [None, "nearly", "Guten Tag", "too short", None]
    events = store.events("feedback.recorded", trace)
    assert [event.data["feedback"] for event in events] == names
    assert "Guten Tag" not in "".join(body for _, body in store.bodies()) + str(events)
    assert verify(store) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"intent": "rating"}, "needs a value"),
        ({"intent": "rating", "value": 1.01}, "from -1 to 1"),
        ({"intent": "rating", "value": math.nan}, "from -1 to 1"),
        ({"intent": "correction"}, "needs a text"),
        ({"intent": "comment", "text": "  "}, "needs a text"),
        ({"intent": "flag", "value": 1.0}, "takes no value"),
        ({"intent": "praise"}, "intent is none of rating"),
        ({"intent": "flag", "actor": "Anna Beispiel"}, "actor is no short"),
        ({"intent": "flag", "surface": ""}, "surface is no short"),
    ],
)
def test_what_cannot_be_kept(store: Store, trace: Ref, fields: dict, said: str) -> None:
    with pytest.raises(Unmet, match=said):
        send(store, "chatcmpl-1", **{"surface": "cli", "actor": "user"} | fields)
    assert store.count(Feedback) == 0


def test_an_unknown_trace(store: Store, trace: Ref) -> None:
    with pytest.raises(NotFound, match="chatcmpl-2"):
        send(store, "chatcmpl-2", surface="cli", actor="user", intent="flag")
