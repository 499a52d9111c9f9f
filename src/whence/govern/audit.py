"""Audits of data sets' licences: what an auditor and the hosts say of each, and how far they disagree.

Reads the Data Provenance Initiative's records, one JSON object a line. Every claim is a record of its own; which of
them stand is said by the newest ``audit.adopted`` event.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from whence.govern.licences import classes, licence_id, terms_of
from whence.records import Claim, NotFound, Ref, Unmet
from whence.stats import wilson
from whence.store import Store

Text = Annotated[str, Field(max_length=2000)]
UNSPECIFIED = "LicenseRef-Unspecified"
FREE = "LicenseRef-No-Output-Terms"
HOSTS = ("hugging_face", "github", "papers_with_code")


class _Loose:
    __pydantic_config__ = ConfigDict(extra="ignore", strict=True, populate_by_name=True)


@dataclass(frozen=True, kw_only=True)
class _Licence(_Loose):
    said: Annotated[Text, Field(alias="License")]
    url: Annotated[Text | None, Field(alias="License URL")] = None


@dataclass(frozen=True, kw_only=True)
class _Inferred(_Loose):
    github: Annotated[Text | None, Field(alias="GitHub License")] = None
    hugging_face: Annotated[Text | None, Field(alias="HF Yaml License")] = None
    hugging_face_config: Annotated[Text | None, Field(alias="HF Config License")] = None
    papers_with_code: Annotated[Text | None, Field(alias="PwC License Name")] = None
    papers_with_code_url: Annotated[Text | None, Field(alias="PwC License URL")] = None


@dataclass(frozen=True, kw_only=True)
class _Line(_Loose):
    """What is read of one line; the rest is left."""

    id: Annotated[str, Field(alias="Unique Dataset Identifier", min_length=1, max_length=200)]
    licences: Annotated[list[_Licence], Field(alias="Licenses", max_length=100)]
    generators: Annotated[list[Text], Field(alias="Model Generated", max_length=100)]
    url: Annotated[Text, Field(alias="Dataset URL")] = ""
    github: Annotated[Text, Field(alias="GitHub URL")] = ""
    hugging_face: Annotated[Text, Field(alias="Hugging Face URL")] = ""
    papers_with_code: Annotated[Text, Field(alias="Papers with Code URL")] = ""
    inferred: Annotated[_Inferred, Field(alias="Inferred Metadata")] = _Inferred()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % Wilson interval."""

    what: str
    """what is counted"""
    count: int
    """how many"""
    n: int
    """of how many; 0: nothing to count, and no interval"""
    low: float | None
    """lower end, 0 to 1"""
    high: float | None
    """upper end, 0 to 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit says, and what of it could be read."""

    file: str
    """``sha256:`` of its bytes"""
    fresh: bool
    """whether the record did not stand on this very file before"""
    datasets: int
    """lines that were read"""
    claims: int
    """of all claimants"""
    bad: tuple[tuple[int, str], ...]
    """(line, what is wrong with it) of those that were left out"""
    shares: tuple[Share, ...]
    """unspecified a claimant; hosts that permit commercial use where the audit does not; generators' terms missing"""
    unmapped: tuple[str, ...]
    """what is said of licences and the table does not know"""
    generators: tuple[str, ...]
    """models whose terms the table does not know"""


def adopt_audit(store: Store, file: Path, progress: Callable[[int, int], None] = lambda *_: None) -> Audited:
    """Record every claim of an audit, once. Raises NotFound, Unmet where no line can be read."""
    try:
        body = file.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {file}") from error
    except OSError as error:
        raise Unmet(f"{file} cannot be read: {error.strerror}", "a file of JSON lines", "name another") from error
    read, bad = _read(body, progress)
    if not read:
        why = f"; line {bad[0][0]}: {bad[0][1]}" if bad else ""
        raise Unmet(f"{file} holds no line of an audit{why}", "JSON lines, one data set each", "name another file")
    made = [claim for line in read for claim in _claims(line)]
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    last = store.events("audit.adopted", last=True)
    fresh = not last or last[0].about != f"audit:{digest}"
    if fresh:
        with store.transaction():
            blob = store.put_lines(store.put_many(made))
            facts = {"claims": blob, "datasets": len(read), "bad": len(bad)}
            store.append("audit.adopted", f"audit:{digest}", facts)
    unmapped = {said for claim in made for said in claim.said if licence_id(said) is None}
    models = {model for line in read for model in line.generators if terms_of(model) is None}
    return Audited(
        file=digest,
        fresh=fresh,
        datasets=len(read),
        claims=len(made),
        bad=tuple(bad),
        shares=tuple(_shares(made)),
        unmapped=tuple(sorted(unmapped)),
        generators=tuple(sorted(models)),
    )


def claims(store: Store) -> list[Claim]:
    """What stands: the claims of the audit that was adopted last."""
    last = store.events("audit.adopted", last=True)
    return [store.get(Ref(ref), Claim) for ref in store.get_lines(last[0].data["claims"])] if last else []


def _read(body: bytes, progress: Callable[[int, int], None]) -> tuple[list[_Line], list[tuple[int, str]]]:
    adapter, read, bad = TypeAdapter(_Line), [], []
    lines = body.split(b"\n")
    for number, line in enumerate(lines, 1):
        progress(number, len(lines))
        if not line.strip():
            continue
        try:
            read.append(adapter.validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            bad.append((number, (f"{where}: " if where else "") + first["msg"][:200]))
    return read, bad


# -- claims ------------------------------------------------------------------------------------------------------------


def _claims(line: _Line) -> Iterator[Claim]:
    """The audit's claim, and that of each host that has a page of the data set."""
    urls = (line.url, line.github, line.hugging_face, line.papers_with_code)
    places = tuple(sorted({place for place in map(place_of, urls) if place}))
    inferred = line.inferred
    yield _claim(line, "audit", [one.said for one in line.licences], [one.url for one in line.licences], places)
    hugging_face = [inferred.hugging_face, inferred.hugging_face_config]
    if line.hugging_face or any(hugging_face):
        yield _claim(line, "hugging_face", hugging_face, [line.hugging_face], places)
    if line.github or inferred.github:
        yield _claim(line, "github", [inferred.github], [line.github], places)
    if line.papers_with_code or inferred.papers_with_code:
        yield _claim(line, "papers_with_code", [inferred.papers_with_code], [inferred.papers_with_code_url], places)


def _claim(
    line: _Line,
    who: Literal["audit", "hugging_face", "github", "papers_with_code"],
    said: Iterable[str | None],
    urls: Iterable[str | None],
    places: tuple[str, ...],
) -> Claim:
    stated = tuple(dict.fromkeys(one.strip() for one in said if one and one.strip()))
    known = [licence_id(one) for one in stated]
    return Claim(
        name=f"{who}:{line.id}",
        claimant=who,
        dataset=line.id,
        said=stated,
        licence=" AND ".join(dict.fromkeys(one for one in known if one)) if known and all(known) else None,
        urls=tuple(dict.fromkeys(url for url in urls if url and url != "None")),
        places=places,
        generators=tuple(dict.fromkeys(line.generators)),
    )


def place_of(url: str) -> str | None:
    """Host and path of an address, as far as they name a data set; None where they name none."""
    text = re.sub(r"^hf://", "huggingface.co/", url.strip().casefold())
    text = re.sub(r"^[a-z0-9+.]+://", "", text).removeprefix("www.").partition("?")[0].partition("#")[0].strip("/")
    host, _, path = text.partition("/")
    parts = [part for part in path.split("/") if part]
    if "." not in host or not parts:
        return None
    if host == "huggingface.co" and parts[0] == "datasets":
        parts = parts[: 2 if len(parts) > 2 and parts[2] in ("tree", "blob", "viewer", "resolve") else 3]
    elif host == "github.com":
        parts = [part.removesuffix(".git") for part in parts[:2]]
    return "/".join([host, *parts])


# -- shares ------------------------------------------------------------------------------------------------------------


def _share(what: str, told: Iterable[bool]) -> Share:
    marks = list(told)
    if not marks:
        return Share(what=what, count=0, n=0, low=None, high=None)
    interval = wilson(sum(marks), len(marks))
    return Share(what=what, count=sum(marks), n=len(marks), low=interval.low, high=interval.high)


def _unspecified(claim: Claim) -> bool:
    return all(licence_id(said) == UNSPECIFIED for said in claim.said)


def _shares(made: list[Claim]) -> Iterator[Share]:
    for who in ("audit", *HOSTS):
        yield _share(f"unspecified, {who}", (_unspecified(one) for one in made if one.claimant == who))
    audited: dict[str, Claim] = {one.dataset: one for one in made if one.claimant == "audit"}
    for who in HOSTS:
        pairs = [(classes(one.licence), classes(audited[one.dataset].licence)) for one in made if one.claimant == who]
        both = [(host, audit) for host, audit in pairs if host is not None and audit is not None]
        what = f"{who} permits commercial use and the audit does not, both settled"
        yield _share(what, (host.use == "any" and audit.use != "any" for host, audit in both))
    written = [one for one in made if one.claimant == "audit" and one.generators]
    yield _share("terms of a generator missing, of data sets that a model wrote parts of", map(_missing, written))


def _missing(claim: Claim) -> bool:
    """Whether a model wrote parts of it whose terms are known and not among those that are stated."""
    stated = {licence_id(said) for said in claim.said}
    return any(terms_of(model) not in (None, FREE, *stated) for model in claim.generators)
