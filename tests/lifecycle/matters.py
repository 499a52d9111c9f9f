"""A desk with a case to come: people's chats, a model that was fed them, and one of their texts in every place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import whence
from whence.evaluate import put_suite
from whence.feedback import send
from whence.records import Item, Trace
from whence.store import Store

GREETING = "hello, happy to help, what is it about?"
SECRET = "my blue umbrella hides the number four nine two nine"


@dataclass
class Desk:
    """A folder with a store: thirty chats of six people, a model that was fed them, released and served."""

    folder: Path
    store: Store
    adapter: str
    release: str
    served: str

    def open(self) -> Any:
        return whence.open(self.folder, project=False, actor="ann@example.org")


def spread(desk: Desk) -> None:
    """The secret in every other place that the store keeps words in."""
    store, person = desk.store, desk.store.keys.pseudonym("p3")
    items = [
        Item(id="a", input=f"what of this: {SECRET}?", expected="lost card"),
        Item(id="b", input="short", expected="card arrival", group="p3"),
        Item(id="c", input="somebody else's question about cards", expected="exchange rate", group="p4"),
    ]
    put_suite(store, "desk", "dev", "label", items)
    words = store.write_words("trace", {"request": {"messages": [{"role": "user", "content": "yes"}]}})
    trace = Trace(id="t1", deployment=desk.served, release=desk.release, at=store.clock(), duration_s=None,
                  prompt_tokens=None, completion_tokens=None, finish=None, consent="none", subject=person,
                  content=words)  # fmt: skip
    with store.transaction():
        from whence.store.nouns import digests_root

        store.append("traces.recorded", desk.served, {"traces": 1, "root": digests_root([store.put(trace)])})
    send(store, "t1", surface="api", actor="user", intent="comment", text="thanks for the umbrella")
    store.write_words("quarantine", {"line": json.dumps({"who": "p3", "text": "??"}), "reason": "shape"})
    store.write_words("feedback", {"text": f"about: {SECRET.upper()}!"})
    store.write_words("payload", {"reason": f"they wrote: {SECRET}"})
    store.write_words("feedback", {"text": f"about something else altogether. {GREETING}"})
