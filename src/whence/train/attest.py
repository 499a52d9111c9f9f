"""In the training process: what a clean room really is. What an attestation says, the process has found itself; nobody
tells it."""

from __future__ import annotations

import errno
import json
import socket
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from whence.records import Json
from whence.store import Store
from whence.train.wheels import named

VARIABLE = "WHENCE_ROOM"
"""Set in a training process that is in a room: the host of its catalogue, or nothing."""


def enter(env: Mapping[str, str]) -> dict[str, Json] | None:
    """Look at home and network before anything else is done, and close the network where it is open. None outside of a
    room."""
    if VARIABLE not in env:
        return None
    home = "empty" if not any(Path.home().iterdir()) else "not empty"
    if cut_off():
        return {"home": home, "network": "namespace"}
    guard(env[VARIABLE])
    return {"home": home, "network": "guard", **({"catalogue": "over TCP"} if env[VARIABLE] else {})}


def attest(store: Store, wheels: str | None) -> dict[str, Json]:
    """What this process is made of: how many distributions, and how many of them pip installed from a wheel with a
    digest that the closure names."""
    digests = {one.sha256 for one in named(store, wheels)} if wheels else set()
    every: dict[str, Distribution] = {}
    for one in distributions():  # the first of a name is the one that is imported
        every.setdefault(str(one.metadata["Name"]).lower(), one)
    whence = every.pop("whence", None)
    held = sum(_digest(one) in digests for one in every.values())
    whole = bool(digests) and held == len(every)
    return {
        "environment": "wheels" if whole else "installed",
        "packages": len(every),
        "wheels": held,
        "whence": "wheel" if whence and _digest(whence) in digests else "installed",
    }


def _digest(one: Distribution) -> str | None:
    """SHA-256 of the file that pip installed it from, as pip wrote it down (PEP 610)."""
    try:
        return str(json.loads(one.read_text("direct_url.json") or "")["archive_info"]["hashes"]["sha256"])
    except (ValueError, KeyError, TypeError):
        return None


NOWHERE = (
    (socket.AF_INET, "127.0.0.1"),
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "::1"),
    (socket.AF_INET6, "2001:db8::1"),
)
"""This machine itself, and addresses that nobody has (RFC 5737, 3849): where no packet can even be sent there, none can
be sent anywhere."""


def cut_off() -> bool:
    """Whether no network can be reached from this process. Nothing is sent."""
    for family, address in NOWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as one:
                one.connect((address, 9))
        except OSError:
            continue
        return False
    return True


LOOK_UPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


def guard(but: str = "") -> None:
    """From now on no Python code of this process reaches a network; sockets of this machine's files stay. It cannot be
    taken away. Libraries that open sockets in C, and other processes, are not stopped by it. but: a host that may be
    looked up."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        looks = event in LOOK_UPS and (not but or arguments[0] != but)
        if looks or (event in SENDS and arguments[0].family != socket.AF_UNIX):
            raise OSError(errno.ENETUNREACH, "there is no network in a clean room")

    sys.addaudithook(refuse)
