"""``store.json``: what makes a folder a store, and where its catalogue lies."""

from __future__ import annotations

import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from whence.records import Conflict, Damaged, Unmet, text_time, writing
from whence.store.database import address

FORMAT = 1
"""Layout of the folder."""


class Marker:
    """The marker of one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, catalogue: str | None, now: datetime) -> bool:
        """Make the folder a store; False where it was made one meanwhile. Raises Unmet for an address that holds a
        password or is none of PostgreSQL."""
        fields: dict[str, Any] = {"format": FORMAT, "created": text_time(now)}
        if catalogue:
            _no_password(catalogue)
            fields |= {"catalogue": catalogue, "id": secrets.token_hex(8)}
        partial = self.path.parent / f"{self.path.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
        try:
            with writing(self.path):
                self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
                partial.write_text(json.dumps(fields) + "\n")
                os.link(partial, self.path)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        return True

    def read(self, catalogue: str | None) -> str | None:
        """Where the catalogue lies: an address, or None for the folder itself. Raises Damaged, Conflict for a newer
        format, Unmet where `catalogue` says otherwise."""
        fields = self._fields()
        if fields["format"] != FORMAT:
            raise Conflict(
                f"{self.path.parent} has format {fields['format']}, this whence knows {FORMAT}\n  do: upgrade whence"
            )
        known = fields.get("catalogue")
        if catalogue and catalogue != known:
            raise Unmet(
                f"the catalogue of {self.path.parent} lies in {known or 'its own folder'}, {catalogue} was asked for",
                "the one that the store was made with",
                "mend the address; where the database has moved, mend it in store.json too",
            )
        return known

    def id(self) -> str:
        """A name of this store that the catalogue knows too."""
        return f"store:{self._fields()['id']}"

    def _fields(self) -> dict[str, Any]:
        try:
            fields: dict[str, Any] = json.loads(self.path.read_bytes())
            if fields["format"] == FORMAT and "catalogue" in fields:
                fields["catalogue"] + fields["id"]
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{self.path} is no store's marker: {error}\n  do: restore the file from its copy") from error
        return fields


def _no_password(catalogue: str) -> None:
    if address(catalogue).password:
        raise Unmet(
            "the address of the catalogue holds a password",
            "an address without one, since it is kept in files that are shared",
            "put it into ~/.pgpass or PGPASSWORD",
        )
