"""LiteLLM's proxy as the peer: its own environment, one worker, no database, no telemetry, the same trace kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.serve_run import Run, load

LITELLM = "1.109.1"
LOOSE = ("certifi", "litellm-proxy-extras")
"""What LiteLLM pins to versions that a package mirror may not have yet; any version does here (roots of TLS, and
migrations of a database that is not used)."""
WANTED = f"""
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement
for one in map(Requirement, requires("litellm")):
    if one.marker is None or one.marker.evaluate({{"extra": "proxy"}}):
        one.marker = None
        print(one.name if one.name in {LOOSE} else one)
"""
"""Prints LiteLLM's own requirements, proxy included."""


def litellm(folder: Path, upstream_url: str, upstream: subprocess.Popen[str], how: Sequence[str]) -> tuple[Run, int]:
    """LiteLLM's proxy before the upstream, and the traces it lost."""
    programs, home = litellm_programs(), folder / "litellm"
    home.mkdir()
    shutil.copy(Path(__file__).with_name("serve_litellm_log.py"), home)
    params = {"model": "openai/scripted", "api_base": f"{upstream_url}/v1", "api_key": "none"}
    config = {
        "model_list": [{"model_name": "desk", "litellm_params": params}],
        "litellm_settings": {"callbacks": ["serve_litellm_log.handler"]},
    }
    (home / "config.yaml").write_text(json.dumps(config))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    env = os.environ | {
        "BENCH_TRACES": str(home / "traces.jsonl"),
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "HOME": str(home),
    }
    options = f"--config {home / 'config.yaml'} --host 127.0.0.1 --port {port} --num_workers 1 --telemetry False"
    with (home / "log").open("w") as log:
        process = subprocess.Popen([programs / "litellm", *options.split()], stdout=log, stderr=log, env=env, cwd=home)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/health/liveliness", process, home / "log")
            run = load(url, folder, how, {"gateway": process, "upstream": upstream})
            time.sleep(5)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)
    return run, missing_in_file(home / "traces.jsonl", run.received)


def wait_for(url: str, process: subprocess.Popen[Any], log: Path) -> None:
    """Return when this address answers."""
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"the server of {url} ended:\n{log.read_text()[-2000:]}")


def litellm_programs() -> Path:
    """LiteLLM's environment, made now if it is not there: its programs' folder."""
    cache = Path(os.environ.get("WHENCE_CACHE") or Path.home() / ".cache/whence")
    home = cache / "bench" / f"litellm-{LITELLM}"
    if not (home / "made").exists():
        print(f"making LiteLLM's environment in {home} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip = [home / "bin/python", "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "--no-deps", f"litellm=={LITELLM}"], check=True)
        listed = subprocess.run([home / "bin/python", "-c", WANTED], check=True, capture_output=True, text=True)
        subprocess.run([*pip, *listed.stdout.split("\n")[:-1]], check=True)
        (home / "made").touch()
    return home / "bin"


def missing_in_file(path: Path, received: Mapping[str, str]) -> int:
    """Answers that LiteLLM's callback did not keep with their words."""
    kept = {trace["id"]: trace["answer"] for trace in map(json.loads, path.read_text().splitlines())}
    return sum(kept.get(name) != text for name, text in received.items())
