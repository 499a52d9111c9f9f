"""The verbs for programs. The command line prints what these return, and a notebook gets the same from `whence.open`.

They return records and plain values, print nothing, and raise `whence.WhenceError`. What the environment says is read
when a project is opened and never again.
"""

from whence.lifecycle.blast import BlastRadius, Questions, Reached, Served
from whence.lifecycle.rebuild import Rebuilt, Replayed
from whence.verbs.adopt import Adopt
from whence.verbs.ask import Ask, WhatEnds, Why
from whence.verbs.binding import Checked
from whence.verbs.canaries import Compared, Hosted
from whence.verbs.cases import Cases, Matter
from whence.verbs.check import Check
from whence.verbs.data import Data, Listing, Quarantined, Removed
from whence.verbs.judge import Eval, Ship
from whence.verbs.model import Listed, Models
from whence.verbs.rights import Changed, Reactions, Rights
from whence.verbs.serve import Serve
from whence.verbs.session import Session, init, open
from whence.verbs.subjects import Called, Person, Reviewable, Reviewed

__all__ = [
    "Adopt",
    "Ask",
    "BlastRadius",
    "Called",
    "Cases",
    "Changed",
    "Check",
    "Checked",
    "Compared",
    "Data",
    "Eval",
    "Hosted",
    "Listed",
    "Listing",
    "Matter",
    "Models",
    "Person",
    "Quarantined",
    "Questions",
    "Reached",
    "Reactions",
    "Rebuilt",
    "Removed",
    "Replayed",
    "Reviewable",
    "Reviewed",
    "Rights",
    "Serve",
    "Served",
    "Session",
    "Ship",
    "WhatEnds",
    "Why",
    "init",
    "open",
]
