"""Looking now at what a record points to: does the data lie there, the base, the code; does the endpoint answer?

Run only when somebody asks. Each thing is looked at once, however many adapters depend on it.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from whence.data.doors import is_url, opened
from whence.lineage import ingests_of
from whence.models import fingerprint, load_base
from whence.records import Base, Deployment, Run, Source, Unmet, WhenceError
from whence.register import Mark
from whence.serve import address

if TYPE_CHECKING:
    from whence.lifecycle.due import Facts
    from whence.lifecycle.run import Told

TIMEOUT_S = 10
"""seconds that an endpoint or git may take"""
ANSWER_BYTES = 8 << 20
"""a longer list of models is not read"""

Probed = dict[tuple[str, str], Mark]
Look = Callable[[], Mark]


def probe(facts: Facts, folder: Path, told: Told) -> Probed:
    """(check, thing) → what was found, for every base, source, commit, environment and endpoint of these adapters."""
    looks = dict(_looks(facts, folder))
    found: Probed = {}
    for done, (of, look) in enumerate(looks.items()):
        told.progress("probe", f"{of[0].removeprefix('due.')}s", done, len(looks))
        found[of] = look()
    return found


def _looks(facts: Facts, folder: Path) -> Iterator[tuple[tuple[str, str], Look]]:
    """What there is to look at, each with how."""
    wanted = dict.fromkeys(of for one in facts.made for of in facts.probed(one))
    beside = facts.store.root.parent
    reads = ingests_of(facts.store) if any(check == "due.data" for check, _ in wanted) else {}
    for of in wanted:
        check, thing = of
        if check == "due.base":
            yield of, lambda base=facts.bases[thing]: _base(base, beside)  # type: ignore[misc,index]
        elif check == "due.data":
            look = (facts.source[thing], reads.get(thing), folder, facts.store.root)
            yield of, lambda look=look: _data(*look)  # type: ignore[misc]
        elif check == "due.code":
            yield of, lambda commit=thing: _code(commit, folder)  # type: ignore[misc]
        else:
            yield of, lambda listed=facts.installed(thing): _imports(listed)  # type: ignore[misc]
    names = {ref: name for mine in facts.releases.values() for ref, name in mine}
    for release, serving in facts.serving.items():
        for ref, deployment in serving:
            look_at = (deployment, names.get(release, release))
            yield ("due.deployment", ref), lambda look_at=look_at: _answers(*look_at)  # type: ignore[misc]


def _base(base: Base, beside: Path) -> Mark:
    """The folder or the hub id gives a base, and it is the one that the record means."""
    try:
        path = load_base(base.location, base.revision, beside)
        found = fingerprint(path) if base.fingerprint else None
    except (WhenceError, OSError) as error:
        said = str(error).splitlines()[0]
        return _fail("due.base", f"its base cannot be had: {said}", "restore it, or name where it is now", "high")
    if base.fingerprint is None:
        return Mark(
            check="due.base", verdict="abstain", message=f"{base.name} is here; whether it is the one, nobody said"
        )
    assert found is not None
    other = [part for part in ("weights", "shapes", "tokenizer", "template") if getattr(found, part) != getattr(base.fingerprint, part)]  # noqa: E501  # fmt: skip
    if other:
        return _fail(
            "due.base", f"what lies at {base.location} has other {', '.join(other)}", "restore the base", "high"
        )
    return Mark(check="due.base", verdict="pass", message=f"{base.name} is here, with the recorded digests")


def _data(source: Source, read: Run | None, folder: Path, scratch: Path) -> Mark:
    """What lies at the source's location has the digest that was read."""
    if read is None or "file" not in read.inputs:
        return Mark(check="due.data", verdict="abstain", message=f"{source.name} was never read from {source.location}")
    place = source.location if is_url(source.location) else folder / source.location
    try:
        with opened(place, scratch, lambda *_: None) as there:
            same = there.digest == read.inputs["file"]
    except (WhenceError, OSError) as error:
        said = str(error).splitlines()[0]
        return _fail("due.data", f"source {source.name} cannot be read where it lay: {said}", "restore it", "low")
    if not same:
        return _fail("due.data", f"what lies at {source.location} is not what was read", "restore it, or read it again")
    return Mark(check="due.data", verdict="pass", message=f"{source.name} lies at {source.location}, unchanged")


def _code(commit: str, folder: Path) -> Mark:
    """The commit is in the repository that the project lies in, and a branch or tag leads to it."""
    if _git(folder, "rev-parse", "--git-dir") is None:
        return Mark(check="due.code", verdict="abstain", message=f"{folder.name} lies in no git repository here")
    if _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        found = f"commit {commit[:12]} is not in this repository"
        return _fail("due.code", found, "fetch it, or find who has it")
    if not (_git(folder, "for-each-ref", "--count=1", "--contains", commit) or _git(folder, "merge-base", "--is-ancestor", commit, "HEAD") is not None):  # noqa: E501  # fmt: skip
        found = f"no branch or tag leads to commit {commit[:12]}: git deletes it one day"
        return _fail("due.code", found, f"git tag keep-{commit[:12]} {commit[:12]}")
    return Mark(check="due.code", verdict="pass", message=f"commit {commit[:12]} is here")


def _git(folder: Path, *words: str) -> str | None:
    try:
        said = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() if said.returncode == 0 else None


def _imports(listed: list[str]) -> Mark:
    """What the closure's environment held is installed here, at the same versions."""
    if not listed:
        return Mark(check="due.import", verdict="abstain", message="the list of its packages is not kept")
    absent, other = [], []
    for line in listed:
        name, _, wanted = line.partition("==")
        try:
            here = version(name)
        except PackageNotFoundError:
            absent.append(line)
            continue
        if here != wanted:
            other.append(f"{name} {wanted} → {here}")
    if absent:
        message = f"{len(absent)} of {len(listed)} packages cannot be resolved here: {_some(absent)}"
        message += f"; {len(other)} have other versions" if other else ""
        return _fail("due.import", message, "install them from where they came, or rebuild without them")
    if other:
        message = f"{len(other)} of {len(listed)} packages have other versions here: {_some(other)}"
        return _fail("due.import", message, "rebuild in the recorded environment, or compare a rebuild in this one")
    return Mark(check="due.import", verdict="pass", message=f"all {len(listed)} packages are here as recorded")


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")


def _answers(deployment: Deployment, name: str) -> Mark:
    """The endpoint lists the release among its models. Only the address that was declared or recorded is asked."""
    where = deployment.endpoint
    try:
        base = address.plain(where, where)
    except Unmet as error:
        return Mark(check="due.deployment", verdict="abstain", message=f"it cannot be asked: {error.found}")
    try:
        listed = fetch_models(f"{base}/v1/models")
    except (OSError, ValueError, HTTPException) as error:
        why = getattr(error, "reason", None) or error
        said = f"{where} does not list its models: {why}"
        return _fail("due.deployment", said, "look whether it still runs", "high")
    models = (
        [str(m.get("id")) for m in listed.get("data", []) if isinstance(m, dict)] if isinstance(listed, dict) else []
    )
    if not {name, name.rpartition("@")[0]} & set(models):
        found = f"{where} does not name {name}; it names {_some(models) or 'nothing'}"
        return _fail("due.deployment", found, "say that it ended, or what it serves now", "high")
    return Mark(check="due.deployment", verdict="pass", message=f"{where} names {name}")


def fetch_models(url: str) -> Mapping[str, object] | list[object]:
    """The JSON that a URL of models answers. Raises OSError, ValueError."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        body = answer.read(ANSWER_BYTES + 1)
    if len(body) > ANSWER_BYTES:
        raise ValueError(f"its answer is longer than {ANSWER_BYTES >> 20} MiB")
    return json.loads(body)  # type: ignore[no-any-return]


def _fail(check: str, message: str, do: str, severity: str = "low") -> Mark:
    return Mark(check=check, verdict="fail", message=message, do=do, severity=severity)  # type: ignore[arg-type]
