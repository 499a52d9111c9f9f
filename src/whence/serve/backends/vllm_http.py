"""What vLLM's HTTP API says and does about adapters: list, load, unload. As read in its sources; docs/vllm.md."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from whence.records import BackendFailed, Json, Unmet
from whence.serve.address import plain

WAIT_S = 300.0
"""Seconds until a server that does not answer is given up; loading a large adapter into every worker takes some."""
ANSWER_BYTES = 4 << 20
"""The longest answer that is read."""
SWITCH = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
"""What a server needs in its environment to load adapters while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model of a server's list."""

    id: str
    """what requests name"""
    root: str | None
    """path or hub id that it was loaded from, as the server was told"""
    parent: str | None
    """the id of an adapter's base; None: it is a base"""


class Vllm:
    """One server.

    Each call raises Unmet where the server answers no, and BackendFailed where it does not answer, so that what it did
    is not known.
    """

    def __init__(self, url: str, token: str | None = None, wait_s: float = WAIT_S) -> None:
        """url: ``http://HOST:PORT``, with or without ``/v1``. token: sent as a bearer token, shown nowhere."""
        self.url = plain(url)
        self._token, self._wait_s = (token or "").strip(), wait_s
        if not (self._token.isascii() and self._token.isprintable()):
            raise Unmet("WHENCE_VLLM_TOKEN holds what no header can", "printable ASCII", "look at how it was set")

    def models(self) -> list[Card]:
        """What it serves."""
        said = self._asked("GET", "/v1/models")
        try:
            cards = json.loads(said)["data"]
            return [
                Card(id=_text(one["id"]) or "", root=_text(one["root"]), parent=_text(one["parent"])) for one in cards
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackendFailed(
                f"{self.url}/v1/models gave no list of models\n  do: look at what runs there; it should be vLLM"
            ) from error

    def load(self, name: str, path: str) -> None:
        """Load the adapter that lies at `path` on the server's machine."""
        self._asked("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})

    def unload(self, name: str) -> None:
        """Drop an adapter."""
        self._asked("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    def _asked(self, method: str, path: str, body: Json = None) -> str:
        parts = urlsplit(self.url)
        headers = {"content-type": "application/json"} if body else {}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        host, port = parts.hostname or "", parts.port
        connection: HTTPConnection = (
            HTTPSConnection(host, port, timeout=self._wait_s, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(host, port, timeout=self._wait_s)
        )
        try:
            connection.request(method, parts.path + path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            said = answer.read(ANSWER_BYTES + 1)
        except TimeoutError as error:
            raise BackendFailed(f"{self.url}{path} did not answer within {self._wait_s:g} s") from error
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise BackendFailed(
                f"{self.url}{path} did not answer: {why}\n  do: look whether the server runs, and at the address"
            ) from error
        finally:
            connection.close()
        if len(said) > ANSWER_BYTES:
            raise BackendFailed(
                f"{self.url}{path} gave more than {ANSWER_BYTES >> 20} MiB; no list of models is so long"
            )
        text = said.decode("utf-8", "replace")
        if answer.status != 200:
            raise self._refused(path, answer.status, text)
        return text

    def _refused(self, path: str, status: int, text: str) -> Unmet | BackendFailed:
        message = _message(text)
        found = f"{self.url}{path} answered {status}" + (f": {message}" if message else "")
        if status in (401, 403):
            return Unmet(found, "the server's token", "export WHENCE_VLLM_TOKEN=…, what vLLM was given as --api-key")
        if status == 404 and message in ("", "Not Found"):
            return Unmet(
                found,
                f"a vLLM server with {SWITCH} set, which has no such door without it",
                f"start it again: {SWITCH}=true vllm serve BASE --enable-lora",
            )
        if status == 404 and "No adapter found" in message:
            return Unmet(
                found,
                "a server that sees the store's files under the path that they have here",
                "mount the store there, for reading only",
            )
        if status <= 500:
            return Unmet(found, "an adapter that the server takes", "the server's own log says more")
        return BackendFailed(found)


def _text(value: Json) -> str | None:
    """A server's word, fit for a terminal."""
    return None if value is None else "".join(c if c.isprintable() else "?" for c in str(value))


def _message(text: str) -> str:
    """The words of an error, from either shape that vLLM has had."""
    try:
        said = json.loads(text)
    except ValueError:
        return ""
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"]
    found = said.get("message") or said.get("detail") or said.get("error") if isinstance(said, dict) else None
    return _text(" ".join(found.split())[:300]) or "" if isinstance(found, str) else ""
