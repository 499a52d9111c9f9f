"""Who acts."""

from __future__ import annotations

import subprocess
from pathlib import Path

UNIDENTIFIED = "unidentified"


def identify(env: dict[str, str], folder: Path | None = None) -> str:
    """Who acts: ``WHENCE_ACTOR``, else git's user.email in `folder`, else `UNIDENTIFIED`."""
    if env.get("WHENCE_ACTOR"):
        return env["WHENCE_ACTOR"]
    try:
        asked = ["git", "config", "user.email"]
        said = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return UNIDENTIFIED
    return said.stdout.strip() or UNIDENTIFIED
