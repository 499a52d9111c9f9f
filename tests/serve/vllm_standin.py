"""A server that speaks what vLLM 0.33.0 says of adapters: list, load, unload, with its shapes, codes and messages, as
read in the sources of that release. It computes nothing. Faults are switched on by name."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class StandIn:
    """One server: what it holds, what was asked of it, and in which way it is out of order."""

    base: str
    """what it was started with: a path or a hub id"""
    names: tuple[str, ...] = ("llama",)
    """``--served-model-name``"""
    api_key: str | None = None
    updating: bool = True
    """whether VLLM_ALLOW_RUNTIME_LORA_UPDATING is set"""
    faults: set[str] = field(default_factory=set)
    meanwhile: Callable[[], Any] | None = None
    """what happens while it loads"""
    adapters: dict[str, str] = field(default_factory=dict)
    """name → path"""
    asked: list[str] = field(default_factory=list)
    """``METHOD path`` of every request"""
    read: list[bytes] = field(default_factory=list)
    """the weights of each adapter that it read"""
    url: str = ""
    _one: threading.Lock = field(default_factory=threading.Lock)
    """vLLM loads and unloads one adapter of a name at a time"""

    def posts(self, what: str = "load") -> int:
        return self.asked.count(f"POST /v1/{what}_lora_adapter")

    # -- what it says --------------------------------------------------------------------------------------------------

    def models(self) -> dict[str, Any]:
        base = "/elsewhere/other" if "changes its base" in self.faults and self.posts() else self.base
        cards = [_card(name, base, None, 2048) for name in self.names]
        for name, path in self.adapters.items():
            root = "/elsewhere/other" if "lies about root" in self.faults else path
            cards.append(_card(name, root, "other" if "lies about parent" in self.faults else self.names[0], None))
        return {"object": "list", "data": cards}

    def load(self, said: dict[str, Any]) -> tuple[int, Any]:
        name, path = said.get("lora_name"), said.get("lora_path")
        if not name or not path:
            return _error(400, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided.")
        if name in self.names:
            return _error(400, "InvalidUserInput", f"The lora adapter '{name}' conflicts with a served base model.")
        if "another is faster" in self.faults:
            self.adapters[name] = "/elsewhere/other"
        if not said.get("load_inplace") and name in self.adapters:
            message = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
            return _error(400, "InvalidUserInput", message + "set 'load_inplace' to True.")
        if "refuses" in self.faults:
            return _error(500, "InternalServerError", "LoRA rank 64 is greater than max_lora_rank 16.")
        if "sees no store" in self.faults or not (Path(path) / "adapter_config.json").is_file():
            return _error(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {path}")
        self.read.append((Path(path) / "adapter_model.safetensors").read_bytes())
        if self.meanwhile:
            self.meanwhile()
        if "is slow" in self.faults:
            time.sleep(3)
        if "forgets" not in self.faults:
            self.adapters[name] = path
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, said: dict[str, Any]) -> tuple[int, Any]:
        name = said.get("lora_name")
        if not name:
            return _error(400, "InvalidUserInput", "'lora_name' needs to be provided to unload a LoRA adapter.")
        if name not in self.adapters:
            return _error(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        if "keeps it" not in self.faults:
            del self.adapters[name]
        return 200, f"Success: LoRA adapter '{name}' removed successfully."


def _card(name: str, root: str, parent: str | None, length: int | None) -> dict[str, Any]:
    card = {"id": name, "object": "model", "created": int(time.time()), "owned_by": "vllm", "root": root}
    return card | {"parent": parent, "max_model_len": length, "permission": [{"object": "model_permission"}]}


def _error(code: int, kind: str, message: str) -> tuple[int, Any]:
    return code, {"error": {"message": message, "type": kind, "param": None, "code": code}}


@contextmanager
def running(state: StandIn) -> Iterator[StandIn]:
    """The server on a port of its own until the block ends."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer("GET", b"")

        def do_POST(self) -> None:
            self.answer("POST", self.rfile.read(int(self.headers.get("content-length") or 0)))

        def answer(self, method: str, body: bytes) -> None:
            state.asked.append(f"{method} {self.path}")
            if state.api_key and self.headers.get("authorization") != f"Bearer {state.api_key}":
                return self.say(401, {"error": "Unauthorized"})
            if (method, self.path) == ("GET", "/v1/models"):
                if "dies after load" in state.faults and state.posts():
                    return self.close()
                return self.say(200, {"hello": 1} if "is no vLLM" in state.faults else state.models())
            if method != "POST" or self.path not in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
                return self.say(*_error(404, "Not Found", "Not Found"))
            if not state.updating:
                return self.say(*_error(404, "Not Found", "Not Found"))
            if self.headers.get("content-type") != "application/json":
                message = "Unsupported Media Type: Only 'application/json' is allowed"
                return self.say(*_error(400, "Bad Request", message))
            if self.path == "/v1/unload_lora_adapter" and "dies after load" in state.faults:
                return self.close()
            with state._one:
                code, said = (state.unload if "unload" in self.path else state.load)(json.loads(body))
            if "dies while it loads" in state.faults and "unload" not in self.path:
                return self.close()
            return self.say(code, said)

        def say(self, code: int, said: Any) -> None:
            body = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def close(self) -> None:
            """No answer."""
            self.close_connection = True
            self.connection.close()

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that are gone."""

    server = Quiet(("127.0.0.1", 0), Door)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
