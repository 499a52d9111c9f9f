"""Tokens of one sequence to text, piece by piece: whole characters only, stop texts held back and cut off.

The pieces of a sequence, joined, are its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

HALF = "\ufffd"
"""What decoders give for bytes that are no whole character (yet)."""

Decode = Callable[[list[int]], str]


class TextStream:
    """The text of one growing sequence."""

    def __init__(self, decode: Decode, stop: Sequence[str] = ()) -> None:
        self._decode, self._stop = decode, [s for s in stop if s]
        self._ids: list[int] = []
        self._from, self._to = 0, 0
        self._pending = ""
        self.stopped = False
        """a stop text was met; nothing more comes"""

    def push(self, token: int) -> str:
        """The text that is certain now that this token is known; often empty."""
        self._ids.append(token)
        self._pending += self._fresh(last=False)
        return self._release(last=False)

    def end(self) -> str:
        """What was still held back."""
        if not self.stopped:
            self._pending += self._fresh(last=True)
        return self._release(last=True)

    def _fresh(self, last: bool) -> str:
        """Text of the tokens since `_to`, decoded behind those from `_from` on: what a token reads as may depend on
        the one before it (a space at the start is dropped by some decoders)."""
        known = self._decode(self._ids[self._from : self._to])
        text = self._decode(self._ids[self._from :])
        if not last and (text.endswith(HALF) or len(text) <= len(known)):
            return ""
        self._from, self._to = self._to, len(self._ids)
        return text[len(known) :]

    def _release(self, last: bool) -> str:
        if self.stopped:
            return ""
        places = [self._pending.index(s) for s in self._stop if s in self._pending]
        if places:
            self.stopped = True
            return self._pending[: min(places)]
        held = 0 if last else max((_overlap(self._pending, s) for s in self._stop), default=0)
        given, self._pending = self._pending[: len(self._pending) - held], self._pending[len(self._pending) - held :]
        return given


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` that may be the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
