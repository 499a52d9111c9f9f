"""Rights: what may be used, since when, and what was withdrawn. Owners: who answers for a thing."""

from whence.govern.owners import Owner, leave, names_of, own, owners
from whence.govern.rights import (
    Blocked,
    Book,
    Standing,
    State,
    Terms,
    Told,
    What,
    admitter,
    blocked,
    change,
    rights_digest,
    states,
    tell,
    withdrawn,
    withdrawn_rows,
)
from whence.govern.scopes import KINDS, rows_of

__all__ = [
    "KINDS",
    "Blocked",
    "Book",
    "Owner",
    "Standing",
    "State",
    "Terms",
    "Told",
    "What",
    "admitter",
    "blocked",
    "change",
    "leave",
    "names_of",
    "own",
    "owners",
    "rights_digest",
    "rows_of",
    "states",
    "tell",
    "withdrawn",
    "withdrawn_rows",
]
