"""A release into a vLLM server that somebody else runs: the binding is checked before it is loaded and after.

What such a server has in memory cannot be seen from outside. What can be checked are the files that it names and the
files that it is told to load; docs/vllm.md says what remains.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from whence.lineage import resolve
from whence.models import Held, check_binding, hold, load_base, must_answer
from whence.models.tensors import mark, read_json, tensors
from whence.records import BackendFailed, Base, Deployment, NotFound, Ref, Release, Unmet, WhenceError
from whence.serve import leases
from whence.serve.address import trimmed
from whence.serve.backends.vllm_http import Card, Vllm
from whence.serve.releases import found, may
from whence.store import Store

WEIGHTS = "adapter_model.safetensors"
"""The one file of weights that vLLM reads where it is there; else it opens pickled ones."""
READ = frozenset(
    {"r", "lora_alpha", "target_modules", "bias", "modules_to_save", "use_rslora", "use_dora", "peft_type"}
)
"""Keys of adapter_config.json that vLLM heeds: it computes with them, or refuses them aloud."""
MOOT = frozenset(
    {
        *("auto_mapping", "base_model_name_or_path", "corda_config", "ensure_weight_tying", "eva_config"),
        *("exclude_modules", "fan_in_fan_out", "inference_mode", "layers_pattern", "layers_to_transform"),
        *("loftq_config", "lora_dropout", "lora_ga_config", "megatron_core", "peft_version", "qalora_group_size"),
        *("revision", "runtime_config", "task_type"),
    }
)
"""Keys that it passes over without harm: the tensors say the same, or they matter in training only."""
STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin a LoRA that leave the base as it is; after others vLLM would compute on another base than PEFT."""
CANNOT = (
    "that the server's memory holds what these files hold: vLLM publishes no digest of its weights",
    "what the server was started with: another revision, tokenizer, template, type or quantisation than the files say",
    "that a file was not swapped and put back, with its times, while vLLM read it",
    "what vLLM does with it afterwards: one that it drops for want of room is read again from the same folder",
)
"""What cannot be known from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A release that may be loaded by a server whose base was found to be the one on record."""

    name: str
    """``NAME@N``"""
    folder: Path
    """the store's copy of the adapter, as a path that leads nowhere else"""
    files: tuple[Held, ...]
    """adapter and bases as they were checked"""
    marks: dict[str, tuple[int, ...]]
    """each file of the adapter, and its folder, as they were before the check"""
    base: Path
    """folder that was checked for the server's base"""

    def check(self) -> list[str]:
        """What changed since it was checked."""
        try:
            for held in self.files:
                held.check()
        except WhenceError as error:
            return [str(error).splitlines()[0]]
        try:
            touched = _marks(self.folder) != self.marks
        except OSError:
            touched = True
        return [f"{self.folder} was touched while it was loaded"] if touched else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A release that a server has loaded."""

    name: str
    """``NAME@N``, which requests name as their model"""
    release: Ref
    """its digest"""
    deployment: Ref
    """by which the record knows that it is served there"""
    endpoint: str
    """address of the server"""
    path: Path
    """what the server was told to load"""
    root: str
    """what the server says its base is"""
    base: Path
    """folder that was checked for it"""
    unknown: tuple[str, ...] = CANNOT
    """what cannot be known from outside"""


def load(store: Store, name: str, server: Vllm, base: Path | None = None) -> Loaded:
    """Load a release into a server, once adapter and base are found to be as recorded, and look at it afterwards.

    base: the folder here that holds what the server's base path means there; None: the path itself, or the base on
    record where both have one name. The deployment is recorded before the server is asked, so that no crash hides it.
    Raises Unmet with all reasons, after which nothing of it is loaded, and BackendFailed where the server does not say.
    """
    ref, release = resolve(store, name)
    before = server.models()
    root = _root(server, before)
    if release.name in {card.id for card in before}:
        raise Unmet(
            f"{server.url} serves something called {release.name} already, and nobody knows which bytes it read",
            "a server without it",
            f"whence serve unload {release.name} --at {server.url}, then load it",
        )
    with ExitStack() as held:
        fit = fits(store, ref, release, root, held, base)
        deployment = leases.declare(store, ref, server.url, store.clock())
        try:
            server.load(release.name, str(fit.folder))
        except Unmet as error:
            raise _left(store, server, release, deployment, error) from error
        except BackendFailed as error:
            raise _undone(store, server, release, deployment, error) from error
        try:
            wrong = _wrong(release.name, fit, before, server.models()) + fit.check()
        except BackendFailed as error:
            raise _undone(store, server, release, deployment, error) from error
        if wrong:
            error = Unmet(
                f"{server.url} loaded something else than was checked:\n    - " + "\n    - ".join(wrong),
                "what was checked",
                "look at the server and at what writes to the store",
            )
            raise _undone(store, server, release, deployment, error)
    return Loaded(
        name=release.name,
        release=ref,
        deployment=deployment,
        endpoint=server.url,
        path=fit.folder,
        root=root,
        base=fit.base,
    )


def unload(store: Store, name: str, server: Vllm | str) -> list[Ref]:
    """Take a release out of a server and record that it ended there; returns the deployments that ended.

    server: the address alone, of one that will not come back and is not asked. Raises BackendFailed where it does not
    say that it is out, NotFound where neither the server nor the record knows of it.
    """
    ref, release = resolve(store, name)
    at, out = (server, False) if isinstance(server, str) else (server.url, _out(server, release.name))
    mine = [d for d, made in store.all(Deployment) if made.release == ref and trimmed(made.endpoint) == trimmed(at)]
    ending = [d for d in mine if leases.state(store, d) in ("declared", "unknown")]
    if not out and not ending:
        raise NotFound(f"{release.name} is not at {at}, and nothing says that it was")
    leases.end(store, ending)
    return ending


# -- before ------------------------------------------------------------------------------------------------------------


def fits(
    store: Store, ref: Ref, release: Release, root: str, held: ExitStack, named: Path | None = None, here: bool = False
) -> Fit:
    """Check a release against the base that a server calls `root`; files stay open in `held`.

    named: the folder here that holds it. here: the server is this process, so that `root` means what it says. Raises
    Unmet with all reasons.
    """
    folder, record, bond = found(store, release)
    _kept(store, folder)
    marks = _marks(folder)
    files = held.enter_context(hold(folder))
    places = _places(store, record, root, named, here)
    bases, reasons = [held.enter_context(hold(place)) for place in places], list[str]()
    for base in bases:
        binding = check_binding(files, base, bond)
        if not may(store, ref, binding, base):
            reasons += [reason.says for reason in binding.reasons]
    if not reasons:
        must_answer(files)
        reasons = _unheeded(files)
    if reasons:
        raise Unmet(
            f"{release.name} is not loaded, because an answer would not come from what the record says:\n    - "
            + "\n    - ".join(dict.fromkeys(reasons)),
            "adapter and base as they were in training",
            "restore the folders named above, or release what is there now",
        )
    return Fit(name=release.name, folder=folder, files=(files, *bases), marks=marks, base=places[0])


def _kept(store: Store, folder: Path) -> None:
    """Raises Unmet where the adapter is not the store's own, or where anybody may write to it."""
    root = store.root.resolve()
    if not folder.is_relative_to(root):
        raise Unmet(
            f"{folder} lies outside the store, where others may write between check and load",
            "the store's own copy",
            "adopt it, which makes one: whence adopt FOLDER",
        )
    above = [place for place in folder.parents if place.is_relative_to(root)]
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    loose = [place for place in (*above, folder, *inside) if place.exists() and place.stat().st_mode & stat.S_IWOTH]
    if loose:
        raise Unmet(f"everybody may write to {loose[0]}", "its owner alone", f"chmod o-w {loose[0]}")


def _places(store: Store, record: Base, root: str, named: Path | None, here: bool) -> list[Path]:
    """Folders here that hold what the server calls `root`: each of them is checked."""
    places = [named.resolve()] if named else []
    if (here or os.path.isabs(root)) and os.path.isdir(root):
        places.append(Path(root).resolve())
    if not places and root == record.location:
        places.append(load_base(record.location, record.revision, store.root.parent))
    if not places:
        raise Unmet(
            f"the server's base is {root}, which is no folder here, and on record it is {record.location}",
            "a folder to check",
            "name the one that holds what the server reads: --base PATH",
        )
    return list(dict.fromkeys(places))


def _unheeded(adapter: Held) -> list[str]:
    """What vLLM would pass over in silence, and so compute otherwise than PEFT."""
    settings = read_json(adapter.path / "adapter_config.json")
    on = {key for key, value in settings.items() if value not in (None, False, [], {})}
    passed = sorted(on - READ - MOOT - {"init_lora_weights"})
    reasons = [f"vLLM passes over {', '.join(passed)} in adapter_config.json"] if passed else []
    start = settings.get("init_lora_weights")
    if start not in STARTS:
        reasons.append(
            f"it was begun with init_lora_weights = {start}, for which PEFT changes the base and vLLM does not"
        )
    if not (adapter.path / WEIGHTS).is_file():
        return [*reasons, f"vLLM reads {WEIGHTS} alone, and this adapter is in shards"]
    whole = sorted(name for name in tensors([adapter.path / WEIGHTS]) if ".base_layer." in name)
    reasons += [f"vLLM passes over {name}, a tensor of the base that the adapter brings" for name in whole]
    extra = sorted(entry.name for entry in adapter.origin.iterdir() if entry.name.startswith("new_embeddings."))
    return reasons + [f"versions of vLLM load {name} as well, which nobody has checked" for name in extra]


def _marks(folder: Path) -> dict[str, tuple[int, ...]]:
    places = [folder, *(folder.iterdir() if folder.is_dir() else ())]
    return {place.name: mark(place.lstat()) for place in places}


# -- after -------------------------------------------------------------------------------------------------------------


def _bases(cards: Sequence[Card]) -> dict[str, str]:
    return {card.id: card.root or card.id for card in cards if card.parent is None}


def _root(server: Vllm, cards: Sequence[Card]) -> str:
    """What the server calls its base. Raises Unmet where it names none or several."""
    roots = sorted(set(_bases(cards).values()))
    if len(roots) != 1:
        raise Unmet(
            f"{server.url} names {len(roots)} bases" + (f": {', '.join(roots)}" if roots else ""),
            "a server of one base",
            "look at what runs there",
        )
    return roots[0]


def _wrong(name: str, fit: Fit, before: Sequence[Card], after: Sequence[Card]) -> list[str]:
    """What a server's list says that is not so if it loaded what it was told."""
    mine = [card for card in after if card.id == name]
    if len(mine) != 1:
        return [f"it lists {len(mine)} models called {name}"]
    wrong = []
    if mine[0].root != str(fit.folder):
        wrong.append(f"{name} comes from {mine[0].root}, not from {fit.folder}")
    if mine[0].parent not in _bases(before):
        wrong.append(f"{name} stands on {mine[0].parent}, its base was {', '.join(_bases(before))}")
    if _bases(after) != _bases(before):
        wrong.append(f"its base was {_bases(before)}, now it is {_bases(after)}")
    return wrong


def _left(store: Store, server: Vllm, release: Release, deployment: Ref, error: Unmet) -> Unmet | BackendFailed:
    """The server said no: what it serves under this name, if anything, is not ours to drop."""
    try:
        there = release.name in {card.id for card in server.models()}
    except WhenceError:
        there = True
    if there:
        return BackendFailed(f"{error}\n{_perhaps(server, release)}")
    leases.end(store, [deployment])
    return error


def _undone(
    store: Store, server: Vllm, release: Release, deployment: Ref, error: Unmet | BackendFailed
) -> Unmet | BackendFailed:
    """Take it out again. Where the server does not say that it is out, the record goes on saying that it is served."""
    try:
        _out(server, release.name)
    except WhenceError:
        return BackendFailed(f"{error}\n{_perhaps(server, release)}")
    leases.end(store, [deployment])
    return type(error)(f"{error}\n  it was unloaded again")


def _perhaps(server: Vllm, release: Release) -> str:
    return (
        f"  it may be served at {server.url} nevertheless, and the record goes on saying so until it is unloaded:\n"
        f"  do: whence serve unload {release.name} --at {server.url}"
    )


def _out(server: Vllm, name: str) -> bool:
    """Take an adapter out; False where it was not there. Raises BackendFailed where it still is, or nobody says."""
    refused: Unmet | None = None
    try:
        server.unload(name)
    except Unmet as error:
        refused = error
    if name in {card.id for card in server.models()}:
        raise BackendFailed(f"{server.url} lists {name} still\n  do: stop the server\n  {refused or ''}".rstrip())
    return refused is None
