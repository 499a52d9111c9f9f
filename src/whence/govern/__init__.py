"""Rights: what may be used, since when, and what was withdrawn. Owners: who answers for a thing."""

from whence.govern.audit import Audited, Share, adopt_audit
from whence.govern.licences import DUTIES, Licence, Ruling, classes, identify, rule, table, terms_of
from whence.govern.owners import Owner, leave, names_of, own, owners
from whence.govern.rights import admitter, change, rights_digest, states, withdrawn, withdrawn_rows
from whence.govern.uses import declare, declared

__all__ = [
    "DUTIES",
    "Audited",
    "Licence",
    "Owner",
    "Ruling",
    "Share",
    "adopt_audit",
    "admitter",
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
    "rule",
    "states",
    "table",
    "terms_of",
    "withdrawn",
    "withdrawn_rows",
]
