"""A training to be killed: ``python -m tests.hooks.long BASE OUT [resume]``; it saves every second step and takes its
time."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tests.hooks.trainings import chats, trainer
from transformers import TrainerCallback

from whence.hooks import WhenceCallback


class Slow(TrainerCallback):
    """Gives a test time to kill it."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A step takes as long as this."""
        if "resume" not in sys.argv:
            time.sleep(0.3)


if __name__ == "__main__":
    base, out = Path(sys.argv[1]), Path(sys.argv[2])
    callbacks = [WhenceCallback(project=out.parent / "nowhere"), Slow()]
    settings = {"save_strategy": "steps", "save_steps": 2, "num_train_epochs": 2, "max_length": 64}
    made = trainer("sft", base, out, chats(12), callbacks, **settings)
    made.train(resume_from_checkpoint="resume" in sys.argv)
