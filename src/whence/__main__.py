"""``python -m whence``."""

from whence.cli import entry

entry()
