"""Sources in, curation steps, snapshots out, and what each step removed."""

from whence.data.arrow_files import saved_files
from whence.data.curate import CurationPlan, curate
from whence.data.diff import Change, Difference, Example, difference
from whence.data.doors import Place, is_url, looked_at, url_fault
from whence.data.ingest import finished, ingest
from whence.data.json_file import MEMBERS
from whence.data.leaks import leaked
from whence.data.left_out import leave_out
from whence.data.plan import Plan
from whence.data.readers import FORMATS, SAVED, detect_format
from whence.data.removal import question_of
from whence.data.shape import FACTS
from whence.data.steps import CHOICES, RANGES, STEPS
from whence.data.survival import Survived, survival
from whence.data.sweep import Swept, sweep
from whence.data.undo import undo, undone

__all__ = [
    "CHOICES",
    "FACTS",
    "FORMATS",
    "MEMBERS",
    "RANGES",
    "SAVED",
    "STEPS",
    "Change",
    "CurationPlan",
    "Difference",
    "Example",
    "Place",
    "Plan",
    "Survived",
    "Swept",
    "curate",
    "detect_format",
    "difference",
    "finished",
    "ingest",
    "is_url",
    "leaked",
    "leave_out",
    "looked_at",
    "question_of",
    "saved_files",
    "survival",
    "sweep",
    "undo",
    "undone",
    "url_fault",
]
