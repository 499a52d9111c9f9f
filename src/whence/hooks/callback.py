"""The callback: it watches a training, writes a spool, and never lets the training feel it.

A spool is a folder of its own for each run beside the trainer's ``output_dir``:

    run.jsonl    chained lines (`whence.records.chained`): begin, rows, save …, end; locked while the training lives
    rows.jsonl   what was about to be fed, a row a line; content, so the folder is its owner's only
    asked.json, seen.json   what the witness was asked and saw
    adapter/     the adapter's weights as the training ended with them

The store is not touched from here: when the training has ended, `whence adopt spool` is tried once in a process of its
own. See docs/hooks.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import try_to_load_from_cache
from transformers import Trainer, TrainerCallback

from whence.hooks.fed import Fed
from whence.hooks.rows import Feed, fed_rows
from whence.hooks.said import told
from whence.records import Json, encode, sha256
from whence.records.chained import ChainedFile

logger = logging.getLogger("whence")
SPOOLS = "whence-spool"
"""The folder of spools, beside the trainer's output_dir: what lies inside it may be uploaded."""
STORES = (".whence", "whence.toml", "store.json")
"""One of them lies where a project is."""
WITNESS_WAIT_S = 600
ADOPT_WAIT_S = 300
"""How long the end of the training waits for its spool to be brought in."""


def _guarded(event: Callable[..., None]) -> Callable[..., None]:
    """A callback's event that never fails: at the first fault the callback says so once and is silent from then on."""

    @wraps(event)
    def guarded(self: WhenceCallback, args: Any, state: Any, control: Any, **named: Any) -> None:
        if self._off:
            return
        try:
            event(self, args, state, **named)
        except Exception as error:  # noqa: BLE001  nothing of the record is worth a training
            self._off = True
            where = f"; what is known so far lies in {self._folder}" if self._folder else ""
            logger.warning("whence: this run is not recorded: %s: %s%s", type(error).__name__, error, where)

    return guarded


class WhenceCallback(TrainerCallback):
    """Records a training of any Hugging Face Trainer: ``callbacks=[WhenceCallback()]``."""

    def __init__(
        self,
        data: str | Path | Sequence[str | Path] = (),
        *,
        map: Mapping[str, str] | None = None,
        source: str | None = None,
        licence: str | None = None,
        consent_basis: str | None = None,
        project: str | Path | None = None,
        spool: str | Path | None = None,
    ) -> None:
        """data: the files or URLs that the rows came from; what was fed is then found in them. map: their fields, as in
        whence.toml. source: the name of the source; None: that of the file, else of the run. licence, consent_basis: as
        whence.toml claims them for a source. project: the folder of the project; None: the working directory. spool:
        where spools lie; None: ``whence-spool`` beside the trainer's output_dir."""
        files = [data] if isinstance(data, str | Path) else list(data)
        self._claims = {"source": source, "licence": licence, "consent_basis": consent_basis, "map": dict(map or {})}
        self._claims["data"] = [str(file if "://" in str(file) else Path(file).absolute()) for file in files]
        self._project, self._spools = Path(project or ".").absolute(), spool
        self._off, self._folder, self._file, self._fed, self._witness = True, None, None, None, None

    # -- events of the trainer ---------------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """The spool is opened and what is known is written."""
        self._off = not state.is_world_process_zero
        self._folder = self._file = self._fed = self._witness = None
        self._begin(args, state, control, **named)

    @_guarded
    def _begin(self, args: Any, state: Any, **named: Any) -> None:
        self._started, self._cpu = time.monotonic(), time.process_time()
        trainer, loader = _trainer(), named["train_dataloader"]
        dataset = getattr(trainer, "train_dataset", None)
        if dataset is None or _len(dataset) != _len(loader.dataset):
            dataset = loader.dataset
        feed = _feed(args, named.get("processing_class"))
        spools = Path(self._spools or Path(args.output_dir).absolute().parent / SPOOLS).absolute()
        self._open(spools, Path(args.output_dir).absolute(), state.global_step)
        if not self._file.lines:
            self._file.add({"kind": "begin"} | self._known(args, trainer, feed, **named))
            self._write_rows(dataset, feed)
        else:
            self._file.add({"kind": "resumed", "step": state.global_step})
        if not (self._folder / "seen.json").exists():
            self._look(named["model"])
        skips = not args.ignore_data_skip
        with contextlib.suppress(AttributeError, TypeError):  # a stream of unknown length, without a sampler
            self._fed = Fed(
                len(dataset), loader, processes=args.world_size, epochs_done=state.epoch or 0.0, skips=skips
            )

    @_guarded
    def on_epoch_begin(self, args: Any, state: Any, **named: Any) -> None:
        """What the sampler draws belongs to a new epoch."""
        if self._fed:
            self._fed.epoch()

    @_guarded
    def on_substep_end(self, args: Any, state: Any, **named: Any) -> None:
        """A batch whose gradients are summed."""
        if self._fed:
            self._fed.batch()

    @_guarded
    def on_step_end(self, args: Any, state: Any, **named: Any) -> None:
        """The last batch of a step."""
        if self._fed:
            self._fed.batch()

    @_guarded
    def on_save(self, args: Any, state: Any, **named: Any) -> None:
        """A checkpoint was written."""
        folder = Path(args.output_dir).absolute() / f"checkpoint-{state.global_step}"
        self._file.add({"kind": "save", "folder": str(folder)} | self._sofar(state))

    @_guarded
    def on_train_end(self, args: Any, state: Any, **named: Any) -> None:
        """The weights are kept, the spool is ended, and bringing it in is tried once."""
        kept = self._keep(named["model"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._witness:
                self._witness.wait(WITNESS_WAIT_S)
        with contextlib.suppress(FileNotFoundError):  # it failed, or takes longer
            self._file.add({"kind": "seen"} | json.loads((self._folder / "seen.json").read_bytes()))
        self._file.add({"kind": "end", "adapter": kept} | self._sofar(state))
        self._off = True
        fcntl.flock(self._file, fcntl.LOCK_UN)  # workers that were forked meanwhile hold the same open file
        self._file.close()
        bring_in(self._folder, self._project)

    # -- the spool ---------------------------------------------------------------------------------------------------

    def _open(self, spools: Path, output: Path, step: int) -> None:
        """A new spool, or that of the run that is resumed: the newest of the same output_dir that has not ended and
        that nobody writes."""
        made = not spools.exists()
        spools.mkdir(parents=True, exist_ok=True, mode=0o700)
        if made:
            (spools / ".gitignore").write_text("*\n")
        here = sha256(str(output).encode())[7:19]
        for folder in sorted(spools.glob(f"*-{here}-*"), reverse=True) if step else ():
            with contextlib.suppress(Exception):  # a damaged one is not this run's
                file = ChainedFile(folder / "run.jsonl")
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if any(line["kind"] == "save" for line in file.lines) and file.lines[-1]["kind"] != "end":
                    self._folder, self._file = folder, file
                    return
                file.close()
        now = datetime.now(UTC)
        self._folder = spools / f"{now:%Y%m%dT%H%M%S%f}-{here}-{secrets.token_hex(3)}"
        self._folder.mkdir(mode=0o700)
        self._file = ChainedFile(self._folder / "run.jsonl")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _known(self, args: Any, trainer: Any, feed: Feed, **named: Any) -> Json:
        """What is known before the first step."""
        model = named["model"]
        config = getattr(model, "config", None)
        tokenizer = feed.tokenizer
        template = getattr(tokenizer, "chat_template", None) or ""
        kinds = [type(trainer or args).__module__.partition(".")[0], type(trainer or args).__name__]
        return {
            "version": 1,
            "name": Path(args.output_dir).absolute().name,
            "started_at": datetime.now(UTC).isoformat(),
            "trainer": ".".join(kinds),
            "arguments": told(args.to_dict()),
            "lora": _lora(model),
            "base": str(getattr(config, "_name_or_path", "") or ""),
            "revision": getattr(config, "_commit_hash", None),
            "template": sha256((template if isinstance(template, str) else encode(template).decode()).encode()),
            "vocabulary": len(tokenizer) if hasattr(tokenizer, "__len__") else None,
            "processes": args.world_size,
            "project": str(self._project),
            **self._claims,
        }

    def _write_rows(self, dataset: Any, feed: Feed) -> None:
        """Every row that may be fed; they are on the disk before the first step."""
        if _len(dataset) is None:
            self._file.add({"kind": "rows", "rows": None, "records": None, "digest": None})
            return
        path, hasher, count = self._folder / "rows.jsonl", hashlib.sha256(), 0
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            for row in fed_rows(dataset, feed):
                line = encode(row) + b"\n"
                hasher.update(line)
                file.write(line)
                count += 1
            file.flush()
            os.fsync(file.fileno())
        said = {"rows": count, "records": len(dataset), "digest": "sha256:" + hasher.hexdigest()}
        self._file.add({"kind": "rows", "packed": feed.packed} | said)

    def _look(self, model: Any) -> None:
        """Start the witness; see witness.py."""
        base, why = _base_folder(model)
        device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
        asked = {
            "base": base,
            "base_absent": why,
            "code": str(self._project),
            "threads": torch.get_num_threads(),
            "device": device,
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
        (self._folder / "asked.json").write_bytes(encode(asked))
        self._witness = _child("-m", "whence.hooks.witness", str(self._folder))

    def _sofar(self, state: Any) -> Json:
        """How far the training came."""
        losses = [line["loss"] for line in state.log_history if "loss" in line]
        fed = self._fed.note() if self._fed else None
        return {
            "step": state.global_step,
            "epochs": state.epoch,
            "steps_planned": state.max_steps,
            "fed": None if fed is None else "all" if fed.all() else _bits(fed),
            "losses": {"logged": len(losses), "first": losses[0], "last": losses[-1], "least": min(losses)}
            if losses
            else None,
            "duration_s": time.monotonic() - self._started,
            "cpu_s": time.process_time() - self._cpu,
        }

    def _keep(self, model: Any) -> Json:
        """Save the adapter into the spool, whatever is saved later; the digests of its files. None where there is none,
        or where each process holds a part of it."""
        model = getattr(model, "module", model)
        sharded = any(type(p).__name__ == "DTensor" or hasattr(p, "ds_id") for p in model.parameters())
        if not hasattr(model, "peft_config") or sharded:
            return None
        folder = self._folder / "adapter"
        model.save_pretrained(folder)
        active = model.active_adapters[0]
        if active != "default" and (folder / active).is_dir():  # PEFT saves adapters of another name in a folder each
            for file in (folder / active).iterdir():
                file.rename(folder / file.name)
        files = {}
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            with (folder / name).open("rb") as file:
                os.fsync(file.fileno())
                files[name] = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        return files


def bring_in(folder: Path, project: Path) -> None:
    """Try `whence adopt spool` once, in a process of its own; one line says how it went."""
    how = f"whence -C {project} adopt spool {folder}"
    if not (os.environ.get("WHENCE_STORE") or any((project / name).exists() for name in STORES)):
        logger.warning("whence: there is no store at %s; this run lies in a spool: %s", project, how)
        return
    child = _child("-m", "whence", "-C", str(project), "adopt", "spool", str(folder), "--json", piped=True)
    try:
        out, _ = child.communicate(timeout=ADOPT_WAIT_S)
        said = json.loads(out)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        said = {"message": f"it took longer than {ADOPT_WAIT_S} s"}
    except ValueError:
        said = {"message": "the command did not answer"}
    if child.returncode == 0:
        logger.info("whence: recorded: %s", "; ".join(line for one in said for line in one["lines"]))
    else:
        why = str(said.get("message", said)).splitlines()[0] if isinstance(said, dict) else str(said)
        logger.warning("whence: this run lies in %s (%s); bring it in with: %s", folder, why, how)


def _child(*words: str, piped: bool = False) -> subprocess.Popen[str]:
    """Our Python with what this process can import, and without a GPU."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "CUDA_VISIBLE_DEVICES": ""}
    out = subprocess.PIPE if piped else subprocess.DEVNULL
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-P", *words], stdin=quiet, stdout=out, stderr=quiet, env=env, text=True)


def _trainer() -> Trainer | None:
    """The trainer that calls: no event is handed it, and it alone holds the rows as they were given."""
    frame = sys._getframe()
    while frame := frame.f_back:  # type: ignore[assignment]
        if isinstance(found := frame.f_locals.get("self"), Trainer):
            return found
    return None


def _feed(args: Any, processor: Any) -> Feed:
    return Feed(
        tokenizer=getattr(processor, "tokenizer", processor),
        max_length=getattr(args, "max_length", None),
        text_field=getattr(args, "dataset_text_field", "text"),
        packed=bool(getattr(args, "packing", False)),
    )


def _len(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def _lora(model: Any) -> Json:
    """The active adapter's configuration, as far as it says what was done."""
    configs = getattr(getattr(model, "module", model), "peft_config", None)
    return told(next(iter(configs.values())).to_dict()) if configs else {}


def _base_folder(model: Any) -> tuple[str | None, str | None]:
    """(where the base that was loaded lies on this machine, or why that is not known)."""
    name = str(getattr(getattr(model, "config", None), "_name_or_path", "") or "")
    if not name:
        return None, "it was made in memory"
    if Path(name).is_dir():
        return str(Path(name).absolute()), None
    found = try_to_load_from_cache(name, "config.json", revision=getattr(model.config, "_commit_hash", None))
    return (str(Path(found).parent), None) if isinstance(found, str) else (None, "its folder is not known")


def _bits(fed: Any) -> str:
    """Row number → fed, as hex of packed bits, the first row the highest."""
    return np.packbits(fed).tobytes().hex()
