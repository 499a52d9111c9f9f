"""Bases from the Hugging Face hub or a local folder, through one door."""

from __future__ import annotations

import os
from pathlib import Path

from whence.records import BackendFailed, Unmet, require

PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.txt", "*.model")
"""No pickled weights, no code."""


def load_base(name_or_path: str, revision: str | None = None, beside: Path = Path(), ask: bool = True) -> Path:
    """The local folder of a base: a folder as it is, looked for in `beside` and in the working directory, else a hub id
    downloaded (or found in the cache) at `revision`. ask: False: only what is on this machine, nobody is asked.

    Raises Unmet for a path that is not there, BackendFailed when the hub cannot give it.
    """
    folder = Path(os.path.expanduser(name_or_path))
    for place in (beside / folder, folder):
        if os.path.isdir(place):
            return place.resolve()
    if name_or_path.startswith((".", "/", "~")) or name_or_path.count("/") > 1:
        raise Unmet(f"there is no folder {name_or_path}", "a local model folder or a hub id ORG/NAME", "check the path")
    try:
        require("serve", "huggingface_hub")
    except Unmet as error:
        if not ask:
            raise Unmet(f"there is no folder {name_or_path}", "a local model folder", "name where it is") from error
        found = f"there is no folder {name_or_path}, and {error.found}, to ask the hub"
        raise Unmet(found, "a local model folder, or a hub id", f"check the path; for a hub id: {error.do}") from error
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    patterns = list(PATTERNS)
    try:
        return Path(
            snapshot_download(name_or_path, revision=revision, allow_patterns=patterns, local_files_only=not ask)
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        if not ask:
            found = f"{name_or_path} is neither a folder here nor in the hub's cache"
            raise Unmet(found, "a local model folder", "name where it is") from error
        at = f" at revision {revision}" if revision else ""
        raise BackendFailed(
            f"the hub did not give {name_or_path}{at}: {type(error).__name__}: {str(error).splitlines()[0][:200]}\n"
            "  do: check the name, the revision and the network (HF_HUB_OFFLINE is for cached models only), log in for "
            "a gated model, or download it elsewhere and name its folder"
        ) from error
