"""MLflow's tracking and registry, through its client. No model of MLflow's is ever loaded and nothing is deleted.

Its telemetry is switched off before it is imported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from whence.records import BackendFailed, NotFound, WhenceError
from whence.records.errors import require
from whence.register.mirror import ALIAS, KEY, Dataset, Entry, Page

EXPERIMENT = "whence"
"""Runs that are mirrored are in this experiment."""
DEEPEST = 3
"""Folders below an artifact in which an adapter is looked for."""
RUN_KEY, VERSION_KEY = "whence.adapter", "whence.release"
"""Tags by which what was mirrored is found again."""


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """What MLflow and its database raise, as an error of ours."""
    try:
        yield
    except WhenceError:
        raise
    except Exception as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise BackendFailed(f"MLflow at {uri} failed: {said}\n  do: look at it, then run this again") from error


def _shown(uri: str) -> str:
    """The address without a password."""
    head, at, tail = uri.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else uri


class Tracking:
    """A tracking server, or the database of one."""

    def __init__(self, uri: str, *, create: bool = False) -> None:
        """uri: ``sqlite:///PATH``, ``postgresql://…``, ``https://…``. create: make a SQLite database that is not there.
        Raises Unmet without MLflow, NotFound without a database."""
        require("mlflow", "mlflow")
        self.uri = _shown(uri)
        file = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
        if file is not None and not create and not (file.is_file() and file.stat().st_size):
            raise NotFound(f"there is no MLflow database at {file}\n  do: check the path")
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        with _told(self.uri):
            from mlflow import MlflowClient

            logging.getLogger("mlflow").setLevel(logging.WARNING)
            logging.getLogger("alembic").setLevel(logging.WARNING)
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._beside = file.resolve().parent if file else None

    # -- read --------------------------------------------------------------------------------------------------------

    def entries(self, experiment: str | None = None) -> Iterator[Entry]:
        """Every registered version, then every run with an adapter or a named base that no version names; of one
        experiment where one is named. Raises NotFound, BackendFailed."""
        with _told(self.uri):
            chosen = self._experiments(experiment)
            runs = {run.info.run_id: run for run in self._all(self._runs(list(chosen)))}
            named, versions = set(), dict[str, list[Any]]()
            for version in self._all(self._client.search_model_versions):
                versions.setdefault(version.name, []).append(version)
            for model in self._all(self._client.search_registered_models):
                for version in sorted(versions.get(model.name, []), key=lambda v: int(v.version)):
                    run = runs.get(version.run_id) or self._run_of(version)
                    if experiment is not None and (run is None or run.info.experiment_id not in chosen):
                        continue
                    named.add(version.run_id)
                    yield self._version(model, version, run)
            for run_id, run in runs.items():
                entry = self._run(run)
                if run_id not in named and (entry.folder or entry.base or entry.absent == "several"):
                    yield entry

    def _experiments(self, name: str | None) -> dict[str, str]:
        found = {e.experiment_id: e.name for e in self._all(self._client.search_experiments)}
        chosen = {key: said for key, said in found.items() if name in (None, said)}
        if name is not None and not chosen:
            known = ", ".join(sorted(found.values())) or "none"
            raise NotFound(f"no experiment is called {name!r} at {self.uri}\n  expected: one of {known}")
        return chosen

    def _runs(self, experiments: list[str]) -> Callable[..., Any]:
        return lambda page_token: self._client.search_runs(experiments, page_token=page_token)

    def _versions(self, model: str) -> Callable[..., Any]:
        return lambda page_token: self._client.search_model_versions(f"name='{model}'", page_token=page_token)

    @staticmethod
    def _all(search: Callable[..., Any]) -> Iterator[Any]:
        token = None
        while True:
            page = search(page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _run_of(self, version: Any) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_run(version.run_id) if version.run_id else None
        except MlflowException:
            return None  # its run was deleted

    def _version(self, model: Any, version: Any, run: Any) -> Entry:
        pointed = sorted(alias for alias, number in model.aliases.items() if str(number) == str(version.version))
        folder, absent = self._place(self._client.get_model_version_download_uri(model.name, str(version.version)))
        return Entry(
            model=model.name,
            version=str(version.version),
            aliases=tuple(pointed),
            folder=folder,
            absent=absent,
            **_said(run, dict(version.tags), version.user_id, version.creation_timestamp),
        )

    def _run(self, run: Any) -> Entry:
        folder, absent = self._place(run.info.artifact_uri)
        name = run.info.run_name or run.info.run_id
        return Entry(model=name, version=None, aliases=(), folder=folder, absent=absent, **_said(run, {}, None, None))

    def _place(self, uri: str) -> tuple[Path | None, str | None]:
        """(the one adapter's folder at or below an artifact of this machine, else why there is none)."""
        parts = urlparse(uri or "")
        if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost") or not parts.path:
            return None, "remote"
        top = Path(unquote(parts.path) if parts.scheme else uri)
        if not top.is_absolute() and self._beside:
            top = self._beside / top
        if not top.is_dir():
            return None, "missing"
        found = _adapters(top)
        return (found[0], None) if len(found) == 1 else (None, "several" if found else "no_adapter")

    # -- write -------------------------------------------------------------------------------------------------------

    def write(self, page: Page) -> bool:
        """Bring one release in, or what of it is not there yet; returns whether anything was. Every step finds what an
        earlier call left, so that one that was cut off is finished by the next. Raises BackendFailed."""
        with _told(self.uri):
            run, made = self._mirrored_run(page)
            changed = self._fill(run, page)
            version, new = self._mirrored_version(page, run.info.run_id)
            return made | changed | new | self._point(page, version)

    def _mirrored_run(self, page: Page) -> tuple[Any, bool]:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        key = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        for run in self._client.search_runs([key], f"tags.`{RUN_KEY}` = '{page.adapter}'"):
            return run, False
        tags = dict(page.run_tags) | {"mlflow.runName": page.version_tags["whence.name"]}
        return self._client.create_run(key, tags=tags), True

    def _fill(self, run: Any, page: Page) -> bool:
        from mlflow.entities import Metric, Param, RunTag

        now = int(datetime.now(UTC).timestamp() * 1000)
        there = run.data
        params = [Param(k, v) for k, v in page.params.items() if k not in there.params]
        metrics = [Metric(k, v, now, 0) for k, v in page.metrics.items() if there.metrics.get(k) != v]
        tags = [RunTag(k, v) for k, v in page.run_tags.items() if there.tags.get(k) != v]
        for start in range(0, max(len(params), len(tags), len(metrics)), 100):
            part = slice(start, start + 100)
            self._client.log_batch(run.info.run_id, metrics[part], params[part], tags[part])
        if run.info.status != "FINISHED":
            self._client.set_terminated(run.info.run_id, "FINISHED")
        return bool(params or metrics or tags or run.info.status != "FINISHED")

    def _mirrored_version(self, page: Page, run: str) -> tuple[Any, bool]:
        if not list(self._client.search_registered_models(f"name='{page.model}'")):
            self._client.create_registered_model(page.model)
        for version in self._all(self._versions(page.model)):
            if version.tags.get(VERSION_KEY) == page.release:
                fresh = {k: v for k, v in page.version_tags.items() if version.tags.get(k) != v}
                for key, value in fresh.items():
                    self._client.set_model_version_tag(page.model, version.version, key, value)
                return version, bool(fresh)
        made = self._client.create_model_version(page.model, str(page.source), run, tags=dict(page.version_tags))
        return made, True

    def _point(self, page: Page, version: Any) -> bool:
        now = self._client.get_registered_model(page.model).aliases
        moved = [alias for alias in page.aliases if ALIAS(alias) and str(now.get(alias)) != str(version.version)]
        for alias in moved:
            self._client.set_registered_model_alias(page.model, alias, str(version.version))
        return bool(moved)


def _said(run: Any, tags: Mapping[str, str], user: str | None, at: int | None) -> dict[str, Any]:
    """What a run and the tags of its version say."""
    held = run.data if run else None
    inputs = run.inputs.dataset_inputs if run and run.inputs else []
    began = at or (run.info.start_time if run else None)
    return {
        "run": run.info.run_id if run else None,
        "tags": (dict(held.tags) if held else {}) | tags,
        "params": dict(held.params) if held else {},
        "metrics": {k: float(v) for k, v in held.metrics.items() if KEY(k)} if held else {},
        "datasets": tuple(
            Dataset(name=str(i.dataset.name), digest=str(i.dataset.digest), source=str(i.dataset.source))
            for i in inputs
        ),
        "who": user or (run.info.user_id if run else None) or (held.tags.get("mlflow.user") if held else None),
        "at": datetime.fromtimestamp(began / 1000, UTC) if began else None,
    }


def _adapters(top: Path) -> list[Path]:
    """Folders with an adapter, the highest level that has any; links are not followed."""
    level = [top]
    for _ in range(DEEPEST + 1):
        found = [folder for folder in level if (folder / "adapter_config.json").is_file()]
        if found:
            return found
        level = [sub for folder in level for sub in sorted(folder.iterdir()) if sub.is_dir() and not sub.is_symlink()]
    return []
