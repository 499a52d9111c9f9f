"""Where a project's files lie, and why nothing can be read from there, as far as that shows without reading."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from whence.data import FORMATS, SAVED, Place, detect_format, is_url, saved_files, url_fault
from whence.records import Unmet


def place_of(folder: Path, path: str) -> Place:
    """A source's path as it is typed in the project of this folder."""
    return path if is_url(path) else folder / path


def place_faults(folder: Path, path: str, format: object) -> Iterator[str]:
    """Why nothing can be read from a source's path in this format."""
    place = place_of(folder, path)
    try:
        if isinstance(place, str):
            fault = url_fault(place) or (format == SAVED and "a saved data set is read from a folder on this machine")
        elif place.is_dir():
            saved_files(place)
            fault = format not in (SAVED, "auto") and f"{place} is a folder; set format to {SAVED!r}"
        else:
            fault = next(file_faults(place), None) or (format == SAVED and f"{place} is a file, expected a folder")
        if fault:
            yield fault
        elif format == "auto":
            detect_format(place)
    except Unmet as error:
        formats = f"set format to one of {', '.join(FORMATS)}"
        yield f"{error.found}; {formats if 'ending' in error.found else error.do}"
    except OSError as error:
        yield f"{place} cannot be read: {error.strerror}"


def file_faults(path: Path) -> Iterator[str]:
    """Why this is no file."""
    try:
        if not path.exists():
            beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            near = difflib.get_close_matches(path.name, beside, 1, 0.6)
            yield f"there is no file {path}" + (f"; did you mean {near[0]!r}?" if near else "")
        elif not path.is_file():
            yield f"{path} is no file"
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}"
