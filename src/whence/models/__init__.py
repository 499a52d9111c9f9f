"""Models: the port that serving and evaluation speak through, what a model really is, what fits on it."""

from whence.models.identity import adapter_digests, chat_template, fingerprint
from whence.models.port import Model, OnText, Reply, Request

__all__ = ["Model", "OnText", "Reply", "Request", "adapter_digests", "chat_template", "fingerprint"]
