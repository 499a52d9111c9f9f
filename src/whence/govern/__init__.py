"""Rights: what may be used, since when, and what was withdrawn. Owners: who answers for a thing."""

from whence.govern.audit import Audited, Share, adopt_audit
from whence.govern.licences import DUTIES, Licence, Ruling, classes, identify, rule, table, terms_of
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
from whence.govern.uses import declare, declared

__all__ = [
    "DUTIES",
    "KINDS",
    "Audited",
    "Blocked",
    "Book",
    "Licence",
    "Owner",
    "Ruling",
    "Share",
    "Standing",
    "State",
    "Terms",
    "Told",
    "What",
    "admitter",
    "adopt_audit",
    "blocked",
    "change",
    "classes",
    "declare",
    "declared",
    "identify",
    "leave",
    "names_of",
    "own",
    "owners",
    "rights_digest",
    "rows_of",
    "rule",
    "states",
    "table",
    "tell",
    "terms_of",
    "withdrawn",
    "withdrawn_rows",
]
