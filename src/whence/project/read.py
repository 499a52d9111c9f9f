"""Read a ``whence.toml`` whole: every fault at once with its line, before any work."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from whence.data import CHOICES, FACTS, MEMBERS, RANGES, STEPS, Place, Rules, detect_format
from whence.evaluate import ItemFields, Spec, read_suite, value_fault
from whence.project.config import CriterionPart, ProjectFile, StorePart, SuitePart, UsePart
from whence.project.locate import line_of, lines_of
from whence.project.places import file_faults, place_faults, place_of
from whence.records import (
    METHODS,
    PARAMETERS,
    Criterion,
    Item,
    Recipe,
    Ref,
    Requirement,
    Source,
    Tier,
    Unmet,
    Use,
    digest,
    parse_time,
)
from whence.train.rewards import load_reward

FILE = "whence.toml"
OF_REVOCABLE = ("revocable", "rehearsal", "peak")
"""Keys of [recipe] that say how rows of revocable sources are trained."""
Fault = tuple[tuple[str | int, ...], str]
"""(path of the key, what is wrong with it)."""


@dataclass(frozen=True)
class Project:
    """A project file that was found whole."""

    folder: Path
    file: ProjectFile

    @property
    def store_path(self) -> Path:
        """Where the store lies."""
        return self.folder / self.file.store.path

    @property
    def keys_path(self) -> Path:
        """Where the keys lie."""
        return self.folder / self.file.store.keys

    @property
    def wheels(self) -> Path | None:
        """Where the wheels of the environment lie, where that is said."""
        return self.folder / self.file.project.wheels if self.file.project.wheels else None

    def source(self, index: int) -> Source:
        """The record of one declared source."""
        part = self.file.sources[index]
        return Source(
            name=part.name,
            kind=part.kind,
            location=part.path,
            licence=part.licence,
            evidence=part.evidence,
            consent_basis=part.consent_basis,
            collector=part.collector,
            retrieved_at=parse_time(part.retrieved_at) if part.retrieved_at else None,
            purge_at=parse_time(part.purge_at) if part.purge_at else None,
            part_of=part.part_of,
            republishes=part.republishes,
        )

    def source_place(self, index: int) -> Place:
        """Where one declared source lies: a path, or a URL."""
        return place_of(self.folder, self.file.sources[index].path)

    def source_format(self, index: int) -> str:
        """The format of one declared source."""
        part = self.file.sources[index]
        return part.format if part.format != "auto" else detect_format(self.source_place(index))

    def recipe(self, *, tier: Sequence[str] = (), routed: bool = False) -> Recipe:
        """The recipe that is asked for, its method's own parameters filled in. tier: the sources that are learnt last.
        routed: requests are to be routed to the adapter."""
        part = self.file.recipe
        given = {name: value for name, value in asdict(part).items() if value is not None and name not in OF_REVOCABLE}
        if tier:
            given["tier"] = Tier(sources=tuple(tier), rehearsal=part.rehearsal, peak=part.peak)
        if routed:
            given["profile"] = True
        return Recipe(**{**METHODS[part.method].parameters, **given})

    def revocable(self) -> list[str]:
        """Sources whose rows may have to go, as declared."""
        return [part.name for part in self.file.sources if part.revocable]

    def use(self, name: str | None = None) -> Use | None:
        """What the models are declared to be for, where that is said. name: of one of them; None: the project's."""
        part = self.file.use
        return None if part is None else Use(name=name or self.file.project.name, **asdict(part))

    def items(self, part: SuitePart) -> list[Item]:
        """The items of one declared suite, as its file has them now. Raises Unmet that names every bad line."""
        slices = part.map.get("slices", ())
        given: dict[str, Any] = {name: value for name, value in part.map.items() if name != "slices"}
        return read_suite(self.folder / part.path, ItemFields(**given, slices=_listed(slices)))

    def requirements(self) -> list[tuple[Requirement, list[Criterion]]]:
        """Each declared requirement with its criteria, as records."""
        found = []
        for part in self.file.requirements:
            one = Requirement(id=part.id, text=part.text, owner=part.owner or self.file.project.owner)
            lists = ("example", "counterexample", "defines")
            given = [
                {f.name: getattr(c, f.name) for f in fields(c)} | {k: _listed(getattr(c, k)) for k in lists}
                for c in part.criteria
            ]
            ref = Ref(digest(one))
            found.append((one, [Criterion(**each, requirement=ref, owner=one.owner) for each in given]))
        return found

    def spec(self) -> Spec:
        """The requirements and what they are tested on, as the gate suite's file has it now. Raises Unmet."""
        gate = next((part for part in self.file.suites if part.role == "gate"), None)
        spec = Spec(requirements=self.requirements(), alpha=self.file.gate.alpha)
        return spec if gate is None else replace(spec, items=self.items(gate), scorer=gate.scorer)

    def steps(self) -> list[tuple[str, Any]]:
        """(name, step) of each declared curation step."""
        return [(str(c["step"]), _step(c)) for c in self.file.curate]


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def declared_use(folder: Path, store: Path) -> tuple[str, Use | None] | None:
    """(project, what its models are for) as whence.toml says, whatever else is wrong with it; None where it does not
    say this much, or where its store is another one. Cheap: nothing else is looked at."""
    try:
        raw = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
        name, said = raw["project"]["name"], raw.get("use")
        if (folder / raw.get("store", {}).get("path", StorePart().path)).resolve() != store:
            return None
        part = None if said is None else TypeAdapter(UsePart).validate_json(json.dumps(said, default=str), strict=True)
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    return str(name), None if part is None else Use(name=str(name), **asdict(part))


def declared_wheels(folder: Path) -> Path | None:
    """The folder of wheels that whence.toml names, whatever else is wrong with it."""
    try:
        said = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))["project"]["wheels"]
        return folder / str(said)
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def read_project(path: Path) -> Project:
    """The project in a folder or file. Raises Unmet that lists every fault with its line."""
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        raise Unmet(f"there is no {FILE} in {file.parent}", "a project file", "whence init YOUR-DATA.jsonl")
    try:
        text = file.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        raise Unmet(f"{file} cannot be read: {error.strerror}", "a project file", "look at its rights") from error
    except UnicodeDecodeError as error:
        raise Unmet(f"{file.name} is not UTF-8 at byte {error.start}", "a UTF-8 file", "save it as UTF-8") from error
    except RecursionError as error:
        raise Unmet(f"{file.name}: brackets lie too deep inside each other", "TOML", "close them") from error
    except ValueError as error:
        raise Unmet(f"{file.name}: {error}", "TOML", "mend that line") from error
    faults: list[Fault] = []
    parsed: ProjectFile | None = None
    try:
        parsed = TypeAdapter(ProjectFile).validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        faults += [_fault(e, raw) for e in error.errors(include_url=False)]
    faults += list(_meaning(raw, file.parent))
    if faults:
        lines = lines_of(text)
        listed = sorted({(line_of(lines, where) or 1, _spell(where), what) for where, what in faults})
        plural = "fault" if len(listed) == 1 else "faults"
        body = "\n".join(f"  {file.name}:{line}: {where}: {what}" for line, where, what in listed)
        raise Unmet(f"{len(listed)} {plural} in {file}\n{body}", "", "mend them; nothing was done yet")
    assert parsed is not None
    return Project(file.parent.resolve(), parsed)


def _spell(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _fault(error: Any, raw: Any) -> Fault:
    where = tuple(p for p in error["loc"] if not (isinstance(p, str) and ("[" in p or p in ("str", "list"))))
    kind = error["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _known_keys(where[:-1])
        near = difflib.get_close_matches(str(where[-1]), known, 1, 0.5)
        return where, "unknown key" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
    if kind in ("missing", "missing_argument"):
        return where, "is missing"
    found = error.get("input")
    shown = repr(found) if isinstance(found, str | int | float | bool) else type(found).__name__
    return where, f"{_lower(error['msg'])}; found {shown}"


def _lower(message: str) -> str:
    return (message[0].lower() + message[1:]).replace("Input should", "should").replace("input should", "should")


def _known_keys(where: tuple[str | int, ...]) -> list[str]:
    """The keys that the table at this path may have."""
    cls: Any = ProjectFile
    for part in where:
        if isinstance(part, int):
            continue
        hints = {f.name: f.type for f in fields(cls)}
        name = str(hints.get(part, "")).removesuffix(" | None").removeprefix("list[").rstrip("]")
        cls = getattr(__import__("whence.project.config", fromlist=[name]), name, None)
        if cls is None:
            return []
    return [f.name for f in fields(cls)]


# -- faults that types cannot say --------------------------------------------------------------------------------------


def _meaning(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    checks: list[Callable[[dict[str, Any], Path], Iterator[Fault]]] = [
        _sources,
        _use,
        _recipe,
        _steps,
        _suites,
        _judge,
        _names,
        _origins,
        _criteria,
    ]
    for check in checks:
        yield from check(raw, folder)


def _tables(raw: dict[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    value = raw.get(name)
    return [(i, t) for i, t in enumerate(value) if isinstance(t, dict)] if isinstance(value, list) else []


def _sources(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    if raw.get("sources") == []:
        yield ("sources",), "is empty; a project needs at least one source"
    for i, table in _tables(raw, "sources"):
        where = ("sources", i)
        if isinstance(table.get("path"), str):
            for fault in place_faults(folder, table["path"], table.get("format", "auto")):
                yield (*where, "path"), fault
        yield from _map_faults((*where, "map"), table.get("map"), (*sorted(MEMBERS), "tools", *FACTS))
        if isinstance(table.get("licence"), str):
            fault = licence_fault(table["licence"])
            yield from [((*where, "licence"), fault)] if fault else []
        for moment in ("retrieved_at", "purge_at"):
            if isinstance(table.get(moment), str | date | time):
                try:
                    parse_time(str(table[moment]))
                except ValueError as error:
                    yield (*where, moment), f"{error}; expected an ISO 8601 time with its zone"


def _use(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    table = raw.get("use")
    if not isinstance(table, dict):
        return
    if isinstance(table.get("licence"), str):
        fault = licence_fault(table["licence"])
        yield from [(("use", "licence"), fault)] if fault else []
        if table.get("distribute") in ("none", "service"):
            yield ("use", "licence"), 'is read where distribute = "weights" only'
    if table.get("research") is True and table.get("commercial") is True:
        yield ("use", "research"), "research and nothing else is not commercial"
    generators = table.get("generators")
    for name, terms in generators.items() if isinstance(generators, dict) else ():
        fault = licence_fault(terms) if isinstance(terms, str) else None
        yield from [(("use", "generators", name), fault)] if fault else []


def _map_faults(where: tuple[str | int, ...], mapping: Any, known: tuple[str, ...]) -> Iterator[Fault]:
    for key in mapping if isinstance(mapping, dict) else ():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.5)
            yield (
                (*where, key),
                "unknown" + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"),
            )


@cache
def _spdx() -> Any:
    from license_expression import get_spdx_licensing  # noqa: PLC0415

    return get_spdx_licensing()


def licence_fault(licence: str) -> str | None:
    """Why this is no SPDX expression, or None."""
    from license_expression import ExpressionError  # noqa: PLC0415  (0.3 s to load)

    spdx = _spdx()
    try:
        parsed = spdx.parse(licence, validate=False)
        unknown = [k for k in spdx.unknown_license_keys(parsed) if not k.startswith("LicenseRef-")]
    except ExpressionError as error:
        return f"no SPDX expression: {error}"
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(spdx.known_symbols), 1, 0.6)
        hint = f"; did you mean {near[0]!r}?" if near else "; for terms of your own write LicenseRef-NAME"
        return f"{unknown[0]!r} is no SPDX licence{hint}"
    return None


def _recipe(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    table = raw.get("recipe")
    method = table.get("method", "sft") if isinstance(table, dict) else None
    if isinstance(table, dict) and isinstance(method, str) and method in METHODS:
        revocable = any(one.get("revocable") for _, one in _tables(raw, "sources"))
        for name in OF_REVOCABLE:
            if name in table and not revocable:
                yield ("recipe", name), "is read where a source is revocable, and none is"
            elif name in table and name != "revocable" and table.get("revocable") == "routed":
                yield ("recipe", name), 'is not read where revocable = "routed"'
        if revocable and not METHODS[method].exact_replay:
            yield ("recipe", "method"), f"{method} cannot be replayed, so no source can be revocable"
        if revocable and not METHODS[method].answers and table.get("revocable") == "routed":
            yield ("recipe", "revocable"), f'{method} does not answer, so nothing is routed; expected "tier"'
        for name in PARAMETERS:
            if name in table and name not in METHODS[method].parameters:
                yield ("recipe", name), f"is not read by method {method}"
        if isinstance(table.get("reward"), str) and method == "grpo":
            try:
                load_reward(table["reward"])
            except Unmet as error:
                yield ("recipe", "reward"), f"{error.found}; expected {error.expected}"


def _step(table: dict[str, Any]) -> Any:
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items() if k != "step"}
    return STEPS[str(table["step"])](**options)


def _steps(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    for i, table in _tables(raw, "curate"):
        where, name = ("curate", i), table.get("step")
        if not isinstance(name, str) or name not in STEPS:
            near = difflib.get_close_matches(str(name), list(STEPS), 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(STEPS)}"
            yield (*where, "step"), ("is missing" if name is None else f"no step is called {name!r}") + f"; {hint}"
            continue
        options = {f.name: f for f in fields(STEPS[name])}
        for key, value in table.items():
            if key != "step" and key not in options:
                near = difflib.get_close_matches(key, list(options), 1, 0.5)
                known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(options) or 'none'}"
                yield (*where, key), f"unknown key; {known}"
            elif key != "step" and not _is(value, str(options[key].type)):
                yield (*where, key), f"should be {options[key].type}; found {value!r}"
            elif key in CHOICES and not set([value] if isinstance(value, str) else value) <= set(CHOICES[key]):
                yield (*where, key), f"should be out of {', '.join(CHOICES[key])}; found {value!r}"
            elif key in RANGES and not RANGES[key][0] <= value <= RANGES[key][1]:
                yield (*where, key), f"should be from {RANGES[key][0]} to {RANGES[key][1]}; found {value!r}"
            elif key == "rules":
                yield from (((*where, key), f"{rule!r} {fault}") for rule in value if (fault := Rules.fault(rule)))


def _is(value: Any, kind: str) -> bool:
    """Whether a TOML value is what a step's option of this type may be."""
    if kind == "tuple[str, ...]":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    return type(value) in {"int": (int,), "str": (str,), "float": (int, float)}[kind]


def _suites(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    for i, table in _tables(raw, "suites"):
        if isinstance(table.get("path"), str):
            yield from ((("suites", i, "path"), fault) for fault in file_faults(folder / table["path"]))
        yield from _map_faults(("suites", i, "map"), table.get("map"), ("id", "input", "expected", "slices", "group"))


def _judge(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    table, judged = raw.get("judge"), [i for i, one in _tables(raw, "suites") if one.get("scorer") == "judge"]
    if table is None:
        yield from ((("suites", i, "scorer"), "asks for a judge, and there is no [judge]") for i in judged)
    if not isinstance(table, dict):
        return
    if ("at" in table) == ("base" in table):
        yield ("judge",), "should name one of at, a hosted model, and base, a model in this process"
    if ("at" in table) != ("model" in table):
        yield ("judge", "model"), "goes with at: what the server calls the model"
    if "key" in table and "at" not in table:
        yield ("judge", "key"), "goes with at"
    if isinstance(table.get("rubric"), str):
        yield from ((("judge", "rubric"), fault) for fault in file_faults(folder / table["rubric"]))


def _names(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    for kind in ("sources", "suites"):
        seen: dict[str, int] = {}
        for i, table in _tables(raw, kind):
            name = table.get("name")
            if isinstance(name, str) and seen.setdefault(name, i) != i:
                yield (kind, i, "name"), f"{name!r} is taken by {kind}[{seen[name]}]"
    roles = [t.get("role") for _, t in _tables(raw, "suites")]
    for role in ("dev", "gate", "fresh"):
        if roles.count(role) > 1:
            yield ("suites",), f"{roles.count(role)} suites have the role {role}; expected one or none"


def _origins(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    """What a source is a copy of, or a suite comes from, is something that another table of the file names: else it
    would lead nowhere. Data from elsewhere may be what several of them are part of."""
    tables = [((kind, i), table) for kind in ("sources", "suites") for i, table in _tables(raw, kind)]
    for where, table in tables:
        others = (t.get(key) for at, t in tables if at != where for key in ("name", "part_of", "republishes"))
        known = list(dict.fromkeys(name for name in others if isinstance(name, str)))
        for key in ("part_of", "republishes") if where[0] == "suites" else ("republishes",):
            if isinstance(name := table.get(key), str) and name not in known:
                near = difflib.get_close_matches(name, known, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
                yield (*where, key), f"no other source or suite is called {name!r}, or part of it; {hint}"


def _criteria(raw: dict[str, Any], folder: Path) -> Iterator[Fault]:
    """Ids name one thing each; a check has what it compares with; a population is written as one."""
    seen: dict[str, str] = {}
    for i, table in _tables(raw, "requirements"):
        criteria = [(("requirements", i, "criteria", j), one) for j, one in _tables(table, "criteria")]
        for where, one in ((("requirements", i), table), *criteria):
            name = one.get("id")
            if isinstance(name, str) and seen.setdefault(name, _spell(where)) != _spell(where):
                yield (*where, "id"), f"{name!r} is taken by {seen[name]}"
        for where, one in criteria:
            population, check = one.get("slice"), one.get("check")
            if isinstance(population, str) and population != "*" and not all(population.partition("=")):
                yield (*where, "slice"), f"should be field=value, or * for all answers; found {population!r}"
            if isinstance(check, str) and (wrong := value_fault(check, one.get("value"))):
                yield (*where, "value"), f"{check} {wrong}"
            elif check is None and "value" in one:
                yield (*where, "value"), "is read by a check, and none is named"
            least, tolerance = one.get("threshold", 1.0), one.get("tolerance", CriterionPart.tolerance)
            if _is(least, "float") and _is(tolerance, "float") and tolerance >= least > 0:
                yield (*where, "threshold"), f"{least} less the tolerance of {tolerance} leaves nothing"
