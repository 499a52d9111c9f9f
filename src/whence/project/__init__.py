"""``whence.toml`` and ``whence.lock``: reading, checking whole, resolving; loading of checks by entry point."""

from whence.project.calendar import read_calendar
from whence.project.checks import load_checks
from whence.project.config import ProjectFile
from whence.project.lockfile import locked_head, read_lock, strangers, write_lock
from whence.project.look import draft, guessed
from whence.project.read import FILE, Project, declared_use, declared_wheels, licence_fault, read_project

__all__ = [
    "FILE",
    "Project",
    "ProjectFile",
    "declared_use",
    "declared_wheels",
    "draft",
    "guessed",
    "licence_fault",
    "load_checks",
    "locked_head",
    "read_calendar",
    "read_lock",
    "read_project",
    "strangers",
    "write_lock",
]
