"""whence: the record and the verdict for fine-tuned language models."""

__version__ = "0.1.0"
