"""What a training process of `bench.revocable` finds imported when it is forked."""

import datasets
import transformers

import whence.models.backends.transformers_peft
import whence.train.backends.trainers  # noqa: F401

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
datasets.disable_progress_bars()
