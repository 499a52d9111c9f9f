"""Bases, releases: versions, aliases with history, waivers."""

from whence.register.bases import register_base
from whence.register.releases import history, move_alias, release, rollback, standing_waiver, waive, waive_binding

__all__ = ["history", "move_alias", "register_base", "release", "rollback", "standing_waiver", "waive", "waive_binding"]
