"""A signature of this store: Ed25519, with a key that lies in the key file beside those of rows.

Whoever has the public half can tell that a statement is this store's and was not changed since; it is in the chain from
the first signature on, so that a head that others keep vouches for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from whence.store import Store

KEY = "signing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Of some bytes."""

    key: str
    """public half, hex"""
    signature: str
    """hex"""


def sign(store: Store, data: bytes) -> Signature:
    """This store's signature of some bytes. Raises Damaged where the key was lost."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  (30 ms to load)

    private = Ed25519PrivateKey.from_private_bytes(store.keys.get(KEY))
    store.keys.save()
    public = private.public_key().public_bytes_raw().hex()
    if not store.events("signing.key", about=public):
        store.append("signing.key", public)
    return Signature(key=public, signature=private.sign(data).hex())


def signed(data: bytes, by: Signature) -> bool:
    """Whether this is the signature of these bytes."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(by.key)).verify(bytes.fromhex(by.signature), data)
    except (InvalidSignature, ValueError):
        return False
    return True
