"""Sources in, curation steps, snapshots out, and what each step removed."""

from whence.data.accesses import Access, looked, note_accesses, noted, read_accesses
from whence.data.arrow_files import saved_files
from whence.data.curate import CurationPlan, curate
from whence.data.decisions import drop, dropped, undo, undone
from whence.data.diff import Change, Difference, Example, difference
from whence.data.doors import Place, is_url, looked_at, url_fault
from whence.data.ingest import finished, ingest
from whence.data.json_file import MEMBERS
from whence.data.kin import kin
from whence.data.leaks import canaries, leaked, read_documents
from whence.data.left_out import leave_out
from whence.data.near import Rules
from whence.data.plan import Plan
from whence.data.readers import FORMATS, SAVED, detect_format
from whence.data.removal import question_of
from whence.data.shape import FACTS
from whence.data.steps import CHOICES, RANGES, STEPS
from whence.data.survival import Survived, survival
from whence.data.sweep import Swept, sweep

__all__ = [
    "CHOICES",
    "FACTS",
    "FORMATS",
    "MEMBERS",
    "RANGES",
    "SAVED",
    "STEPS",
    "Access",
    "Change",
    "CurationPlan",
    "Difference",
    "Example",
    "Place",
    "Plan",
    "Rules",
    "Survived",
    "Swept",
    "canaries",
    "curate",
    "detect_format",
    "difference",
    "drop",
    "dropped",
    "finished",
    "ingest",
    "is_url",
    "kin",
    "leaked",
    "leave_out",
    "looked",
    "looked_at",
    "note_accesses",
    "noted",
    "question_of",
    "read_accesses",
    "read_documents",
    "saved_files",
    "survival",
    "sweep",
    "undo",
    "undone",
    "url_fault",
]
