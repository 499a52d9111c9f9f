"""Log lines for machines: one JSON object a line, facts only.

No text of a request or an answer, no user, no token, no header and no path that a client chose gets here: a line
holds what `tell` is given. Of what a library logs, only where it did so is kept, since its words may quote a request.
"""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime

from whence.records import text_time

log = logging.getLogger("whence.serve")


def tell(event: str, level: int = logging.INFO, **facts: str | float | list[str] | None) -> None:
    """Log an event with its facts: ids, digests, names of releases, counts, seconds."""
    if log.isEnabledFor(level):
        log.log(level, event, extra={"facts": {name: fact for name, fact in facts.items() if fact is not None}})


class Lines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": text_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
        }
        if record.name == log.name:
            line |= {"event": record.getMessage()} | getattr(record, "facts", {})
        else:
            line |= {"event": "library", "library": record.name, "where": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


def to_stderr() -> None:
    """All logs of this process to stderr as `Lines`: ours from INFO, those of libraries from WARNING; what ends a
    thread too. For a process that is a gateway and nothing else."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    log.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # what it warns of, the door says itself
    logging.captureWarnings(True)
    logging.raiseExceptions = False
    threading.excepthook = _thread_ended


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    tell("thread ended", logging.ERROR, thread=args.thread.name if args.thread else None, error=args.exc_type.__name__)
