"""Models: the port that serving and evaluation speak through, what a model really is, what fits on it."""

from whence.models.backends.hub import load_base
from whence.models.backends.scripted import ScriptedModel
from whence.models.binding import Binding, Reason, check_binding, must_answer
from whence.models.held import Held, hold
from whence.models.identity import PROFILE, adapter_digests, altered, base_tensors, chat_template, fingerprint
from whence.models.port import Guess, Model, OnText, Open, Reply, Request, Scored, Scoring
from whence.models.profiles import profile_text
from whence.models.sidecar import Bond, bond_of, bond_to, put_tensors, read_sidecar, write_sidecar

__all__ = [
    "PROFILE",
    "Binding",
    "Bond",
    "Guess",
    "Held",
    "Model",
    "OnText",
    "Open",
    "Reason",
    "Reply",
    "Request",
    "Scored",
    "Scoring",
    "ScriptedModel",
    "adapter_digests",
    "altered",
    "base_tensors",
    "bond_of",
    "bond_to",
    "chat_template",
    "check_binding",
    "fingerprint",
    "hold",
    "load_base",
    "must_answer",
    "profile_text",
    "put_tensors",
    "read_sidecar",
    "write_sidecar",
]
