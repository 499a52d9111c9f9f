"""Sources in, curation steps, snapshots out, and what each step removed."""

from whence.data.arrow_files import saved_files
from whence.data.curate import CurationPlan, curate
from whence.data.doors import Place, is_url, looked_at, url_fault
from whence.data.ingest import finished, ingest
from whence.data.json_file import MEMBERS
from whence.data.left_out import leave_out
from whence.data.plan import Plan
from whence.data.readers import FORMATS, SAVED, detect_format
from whence.data.shape import FACTS
from whence.data.steps import CHOICES, STEPS, question_of

__all__ = [
    "CHOICES",
    "FACTS",
    "FORMATS",
    "MEMBERS",
    "SAVED",
    "STEPS",
    "CurationPlan",
    "Place",
    "Plan",
    "curate",
    "detect_format",
    "finished",
    "ingest",
    "is_url",
    "leave_out",
    "looked_at",
    "question_of",
    "saved_files",
    "url_fault",
]
