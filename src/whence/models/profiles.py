"""The file beside an adapter's weights that says what its rows ask."""

from __future__ import annotations

from pathlib import Path

from whence.models.identity import PROFILE
from whence.records import Adapter, Ref, Unmet, sha256
from whence.store import Store


def profile_text(store: Store, adapter: Ref, folder: Path | None = None) -> str:
    """Read and held against the record. folder: where it is held open; None: where it lies. Raises Unmet."""
    made = store.get(adapter, Adapter)
    try:
        text = ((folder or store.root / made.location) / PROFILE).read_bytes()
    except OSError:
        text = b""
    if made.profile is None or sha256(text) != made.profile:
        raise Unmet(
            f"adapter {adapter[7:19]} has no profile, or not the one of its training",
            f"{PROFILE} as it was trained, by which requests are routed to it",
            "restore its folder, or train again",
        )
    return text.decode()
