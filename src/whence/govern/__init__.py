"""Rights: what may be used, since when, and what was withdrawn. Owners: who answers for a thing. Subjects: whom rows
are about."""

from whence.govern.identifiers import (
    KINDS,
    Identified,
    Identifier,
    Kept,
    identify,
    kept,
    pseudonym_of,
    read_identifiers,
    strength,
)
from whence.govern.mentions import search, unsearched
from whence.govern.owners import Owner, leave, names_of, own, owners
from whence.govern.rights import admitter, change, rights_digest, states, withdrawn, withdrawn_rows
from whence.govern.subjects import Mentions, Waiting, decide, rows_of, waiting

__all__ = [
    "KINDS",
    "Identified",
    "Identifier",
    "Kept",
    "Mentions",
    "Owner",
    "Waiting",
    "admitter",
    "change",
    "decide",
    "identify",
    "kept",
    "leave",
    "names_of",
    "own",
    "owners",
    "pseudonym_of",
    "read_identifiers",
    "rights_digest",
    "rows_of",
    "search",
    "states",
    "strength",
    "unsearched",
    "waiting",
    "withdrawn",
    "withdrawn_rows",
]
