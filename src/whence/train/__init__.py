"""(base, snapshot, recipe) → adapter and closure, in a process of its own, on a row-keyed schedule."""

from whence.train.asks import questions
from whence.train.checkpoints import drop
from whence.train.compare import compare
from whence.train.job import Outcome, outcome, recorded
from whence.train.plan import plan, step_of
from whence.train.replay import (
    OTHER_CONDITIONS,
    Kept,
    PassedOver,
    Replay,
    Stale,
    from_the_start,
    line,
    on_disk,
    reached,
    replay,
    stale,
)
from whence.train.room import Room, clean_room
from whence.train.run import Progress, attempt, prepare, train
from whence.train.wheels import wheels_of

__all__ = [
    "OTHER_CONDITIONS",
    "Kept",
    "Outcome",
    "PassedOver",
    "Progress",
    "Replay",
    "Room",
    "Stale",
    "attempt",
    "clean_room",
    "compare",
    "drop",
    "from_the_start",
    "line",
    "on_disk",
    "outcome",
    "plan",
    "prepare",
    "questions",
    "reached",
    "recorded",
    "replay",
    "stale",
    "step_of",
    "train",
    "wheels_of",
]
