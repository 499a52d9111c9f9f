"""Sources in, curation steps, snapshots out, and what each step removed."""

from whence.data.curate import CurationPlan, curate
from whence.data.ingest import file_digest, finished, ingest
from whence.data.readers import FORMATS, detect_format
from whence.data.rows import Plan
from whence.data.shape import FACTS, MEMBERS
from whence.data.steps import CHOICES, STEPS, question_of

__all__ = [
    "CHOICES",
    "FACTS",
    "FORMATS",
    "MEMBERS",
    "STEPS",
    "CurationPlan",
    "Plan",
    "curate",
    "detect_format",
    "file_digest",
    "finished",
    "ingest",
    "question_of",
]
