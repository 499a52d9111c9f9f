"""Rights: what may be used, since when, and what was withdrawn."""

from whence.govern.rights import admitter, change, rights_digest, withdrawn, withdrawn_rows

__all__ = ["admitter", "change", "rights_digest", "withdrawn", "withdrawn_rows"]
