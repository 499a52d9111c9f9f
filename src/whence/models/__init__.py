"""Models: the port that serving and evaluation speak through, what a model really is, what fits on it."""

from whence.models.backends.hub import load_base
from whence.models.backends.scripted import ScriptedModel
from whence.models.binding import check_binding
from whence.models.identity import adapter_digests, chat_template, fingerprint
from whence.models.port import Model, OnText, Reply, Request

__all__ = [
    "Model",
    "OnText",
    "Reply",
    "Request",
    "ScriptedModel",
    "adapter_digests",
    "chat_template",
    "check_binding",
    "fingerprint",
    "load_base",
]
