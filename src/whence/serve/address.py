"""Addresses at which releases are served."""

from __future__ import annotations

from urllib.parse import urlsplit

from whence.records import Unmet


def plain(url: str, named: str = "--at") -> str:
    """An address in which nothing but a server is named, as it is recorded. Raises Unmet, which calls it `named`."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and _sendable(url)
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment:
        raise Unmet(f"{named} is no address of a server", "http://HOST:PORT", "look at its spelling")
    if parts.username or parts.password:
        how = "leave them out; a server's key is read from WHENCE_VLLM_TOKEN"
        raise Unmet(f"{named} holds a user or password", "http://HOST:PORT", how)
    return trimmed(url)


def trimmed(url: str) -> str:
    """An address as it is recorded, whether it was given with ``/v1`` or without."""
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _sendable(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
