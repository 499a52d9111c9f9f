"""The gateway: aliases and releases behind OpenAI's chat-completion API, every answer naming the release it is from."""

from whence.serve.desk import Settings
from whence.serve.leases import declare, end, state
from whence.serve.run import Gateway

__all__ = ["Gateway", "Settings", "declare", "end", "state"]
