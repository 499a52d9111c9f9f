"""Other evaluation tools, run as a process of their own against an OpenAI-compatible endpoint.

Nothing of a data set or a model is downloaded: the tools are told to stay offline, so that the endpoint is all that
they ask. A key of the surroundings does not go along by accident; the one that was named does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from whence.models.backends.openai_http import OpenAIModel
from whence.records import BackendFailed, Unmet, writing

Tool = Literal["lm-eval", "inspect"]
TOOLS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "lm-eval": ("lm_eval", ("lm_eval", "lm-eval"), "pip install 'lm-eval[api]'"),
    "inspect": ("inspect_ai", ("inspect",), "pip install inspect-ai openai"),
}
"""Tool → its module, its commands, how it is installed."""
KEYS = {"OPENAI_API_KEY": "none", "WHENCE_API_KEY": "none"}
"""What the tools are told where no key was named; they ask for one."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
AT_ONCE = 4
"""Requests under way together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible address, such as our own gateway's."""

    url: str
    """``http://HOST:PORT``, with ``/v1`` or without"""
    model: str
    """what the server calls it"""
    key: str | None = None
    """name of the environment variable that holds the key; None: none is sent"""

    @property
    def v1(self) -> str:
        """Up to and with ``/v1``."""
        return self.url.rstrip("/").removesuffix("/v1") + "/v1"


def run_harness(tool: str, task: str, at: Endpoint, folder: Path, more: Sequence[str] = ()) -> list[Path]:
    """Run one tool on one task and return the logs that it left in `folder`. What it says goes to stderr as it comes.

    task: as the tool takes it: a name, or a file of one. more: arguments that are handed on. Raises Unmet where the
    tool is not installed or the endpoint cannot be asked, BackendFailed where it fails or leaves no log.
    """
    if tool not in TOOLS:
        raise Unmet(f"{tool!r} is no tool that can be run", f"one of {', '.join(TOOLS)}", "name one of them")
    OpenAIModel(at.v1, at.model, at.key)  # the same is asked of an address and a key as where we ask ourselves
    command, secret = [*_found(tool)], os.environ[at.key] if at.key else "none"
    if tool == "lm-eval":
        told = f"base_url={at.v1}/chat/completions,model={at.model},num_concurrent={AT_ONCE}"
        command += ["run", "--model", "local-chat-completions", "--model_args", told, "--apply_chat_template"]
        command += ["--tasks", task, "--log_samples", "--output_path", str(folder)]
        said, logs = {"OPENAI_API_KEY": secret}, ("**/samples_*.jsonl",)
    else:
        command += ["eval", task, "--model", f"openai-api/whence/{at.model}", "--log-dir", str(folder)]
        command += ["--log-format", "eval", "--display", "plain", "--max-connections", str(AT_ONCE)]
        said, logs = {"WHENCE_BASE_URL": at.v1, "WHENCE_API_KEY": secret}, ("**/*.eval", "**/*.json")
    with writing(folder):
        folder.mkdir(parents=True)
    with subprocess.Popen(
        [*command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **OFFLINE, **KEYS, **said},
    ) as child:
        assert child.stdout
        while piece := os.read(child.stdout.fileno(), 4096):
            sys.stderr.write(piece.decode("utf-8", "replace"))
            sys.stderr.flush()
    found = sorted(path for form in logs for path in folder.glob(form))
    if child.returncode or not found:
        why = f"ended with {child.returncode}" if child.returncode else f"left no log in {folder}"
        raise BackendFailed(f"{tool} {why}\n  do: see what it says above, and ask it: {TOOLS[tool][1][0]} --help")
    return found


def _found(tool: str) -> list[str]:
    """How the tool is called: that of this environment, else the one on the path. Raises Unmet."""
    module, commands, install = TOOLS[tool]
    if find_spec(module):
        return [sys.executable, "-m", module]
    for name in commands:
        if place := shutil.which(name):
            return [place]
    raise Unmet(f"{tool} is not installed", f"{module} in this environment, or {commands[0]} on the path", install)
