"""A desk whose model was fed people's chats, made once and copied for each test."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.matters import GREETING, SECRET, Desk
from whence.models import fingerprint
from whence.records import Base, Deployment, Release
from whence.serve import leases
from whence.store import Store


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    from train.lessons import freeze, recipe
    from whence.data import Plan, ingest
    from whence.records import Source
    from whence.train import prepare, recorded
    from whence.train.backends.work import work

    folder = tmp_path_factory.mktemp("cases")
    shutil.copytree(tiny_base, folder / "tiny-base")
    with contextlib.closing(Store.open(folder / ".whence", create=True, actor="tester@example.org")) as store:
        rows = [
            {
                "id": f"r{n}",
                "who": f"p{n % 6}",
                "messages": [
                    {"role": "user", "content": SECRET if n == 3 else f"please tell me about my card number {n}"},
                    {"role": "assistant", "content": GREETING},
                    {"role": "assistant", "content": ("card arrival", "lost card", "exchange rate")[n % 3]},
                ],
            }
            for n in range(30)
        ]
        (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = Source(
            name="chats", kind="production_log", location="chats.jsonl", licence="CC0-1.0", consent_basis="consent"
        )
        plan = Plan(
            source=source,
            path=folder / "chats.jsonl",
            format="jsonl",
            map={"id": "id", "subject": "who"},
            rights="none",
        )
        ingest(store, plan, lambda _, subjects, *__: [None] * len(subjects))
        base = store.put(Base(name="tiny", location="./tiny-base", fingerprint=fingerprint(folder / "tiny-base")))
        run = prepare(store, base, freeze(store, range(30)), recipe(batch_rows=3, checkpoint_every=1))
        work(store, run, lambda line: None)
        made = recorded(store, run)
        assert made
        release = store.put(Release(name="desk@1", adapter=made.adapter_ref, verdict=None))
        leases.declare(store, release, "https://example.org/v1", store.clock())
    return folder


@pytest.fixture
def desk(_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    shutil.copytree(_made, folder)
    monkeypatch.chdir(folder)
    with contextlib.closing(Store.open(folder / ".whence", actor="tester@example.org")) as store:
        [(release, made)] = store.all(Release)
        [(served, _)] = store.all(Deployment)
        yield Desk(folder, store, made.adapter, release, served)
