"""Requests wait as long as a loaded machine needs; by itself httpx gives up after 5 s."""

from __future__ import annotations

from functools import partial

import httpx
import pytest


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get", "post", "request", "stream"):
        monkeypatch.setattr(httpx, name, partial(getattr(httpx, name), timeout=60))
