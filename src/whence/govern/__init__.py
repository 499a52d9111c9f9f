"""Rights: what may be used, since when, and what was withdrawn. Owners: who answers for a thing."""

from whence.govern.owners import Owner, leave, names_of, own, owners
from whence.govern.rights import admitter, change, rights_digest, states, withdrawn, withdrawn_rows

__all__ = [
    "Owner",
    "admitter",
    "change",
    "leave",
    "names_of",
    "own",
    "owners",
    "rights_digest",
    "states",
    "withdrawn",
    "withdrawn_rows",
]
