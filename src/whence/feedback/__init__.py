"""Typed reactions to served answers."""

from whence.feedback.run import send

__all__ = ["send"]
