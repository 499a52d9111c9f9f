"""Rights: what may be used, since when, and what was withdrawn. Owners: who answers for a thing. Subjects: whom rows
are about."""

from whence.govern.audit import Audited, Share, adopt_audit
from whence.govern.corrected import unheeded, unheeded_line
from whence.govern.holds import hold, holds, release
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
from whence.govern.licences import DUTIES, Licence, Ruling, classes, licence_id, rule, table, terms_of
from whence.govern.mentions import search, unsearched
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
    amended,
    blocked,
    change,
    rights_digest,
    states,
    tell,
    withdrawn,
    withdrawn_rows,
)
from whence.govern.scopes import rows_of
from whence.govern.signing import Signature, sign, signed
from whence.govern.solve import disputed_rows
from whence.govern.subjects import Mentions, Waiting, decide, waiting
from whence.govern.uses import declare, declared

__all__ = [
    "DUTIES",
    "KINDS",
    "Audited",
    "Blocked",
    "Book",
    "Identified",
    "Identifier",
    "Kept",
    "Licence",
    "Mentions",
    "Owner",
    "Ruling",
    "Share",
    "Signature",
    "Standing",
    "State",
    "Terms",
    "Told",
    "Waiting",
    "What",
    "admitter",
    "adopt_audit",
    "amended",
    "blocked",
    "change",
    "classes",
    "decide",
    "declare",
    "declared",
    "disputed_rows",
    "identify",
    "hold",
    "holds",
    "kept",
    "leave",
    "licence_id",
    "names_of",
    "own",
    "owners",
    "pseudonym_of",
    "read_identifiers",
    "release",
    "rights_digest",
    "rows_of",
    "rule",
    "search",
    "sign",
    "signed",
    "states",
    "strength",
    "table",
    "tell",
    "terms_of",
    "unheeded",
    "unheeded_line",
    "unsearched",
    "waiting",
    "withdrawn",
    "withdrawn_rows",
]
