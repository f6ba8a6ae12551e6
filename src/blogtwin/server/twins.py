"""The twins of this installation. In: deployments, versions and the folders they are trained in. Out: which there are, and where.

A name from a request is looked up here; no part of it ever becomes a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from blogtwin.config import CONFIG_FILE, Settings, load_settings
from blogtwin.dataset import prompts
from blogtwin.dataset.prompts import Wordings
from blogtwin.errors import InputError, UsageError
from blogtwin.feedback import twins
from blogtwin.feedback.database import Database
from blogtwin.feedback.versions import Versions
from blogtwin.records import Deployment
from blogtwin.stages.versions import family
from blogtwin.workspace import Workspace, deployments, find_deployment


class Twins:
    """settings, workspace: of the folder that the server was started in, whose twin is the default."""

    def __init__(self, settings: Settings, workspace: Workspace, database: Database, versions: Versions) -> None:
        self._settings, self._workspace = settings, workspace
        self._database, self._versions = database, versions
        self.default = family(settings.deployment.model_name)
        self._wordings = lru_cache(maxsize=64)(self._read_wordings)

    def names(self) -> Sequence[str]:
        """All of them, the default first."""
        found = {family(one.name) for one in deployments()} | {one.twin for one in self._versions.list()}
        return [self.default, *sorted(found - {self.default})]

    def named(self, name: str | None) -> str:
        """`name` if there is such a twin, the default for None. Raises InputError, naming those there are."""
        if name is None or name == self.default:
            return self.default
        there = self.names()
        if name not in there:
            raise InputError(f"there is no twin named {name[:64]!r}", f"there are: {', '.join(there)}")
        return name

    def deployed(self, twin: str) -> Deployment | None:
        """What the twin's own name stands for, where no version of it was recorded."""
        own = self._settings.deployment.model_name
        try:
            return find_deployment(own if twin == self.default else f"{twin}:latest")
        except UsageError:  # a model at an endpoint may have a name that no twin can have
            return None

    def settings(self, twin: str) -> Settings:
        """As the twin's own folder has them. Raises ConfigError."""
        folder = self._folder(twin)
        if folder is None:
            return self._settings
        file = folder / CONFIG_FILE
        found = load_settings(file if file.is_file() else None)
        named = replace(found.deployment, model_name=f"{twin}:latest", runtime=self._settings.deployment.runtime)
        data = replace(found.data, output_dir=folder / found.data.output_dir)
        if found.data.instructions_file.exists() or (folder / found.data.instructions_file).exists():
            data = replace(data, instructions_file=folder / found.data.instructions_file)
        return replace(found, deployment=named, data=data, server=self._settings.server, machine=self._settings.machine)

    def workspace(self, twin: str) -> Workspace:
        """Where its posts and examples lie."""
        folder = self._folder(twin)
        if folder is None:
            return self._workspace
        here = Workspace.here(self.settings(twin))
        return replace(here, model=folder / here.model, report=folder / here.report)

    def wordings(self, twin: str) -> Wordings:
        """What it was asked in training. Raises ConfigError."""
        return self._wordings(twin)

    def reload(self) -> None:
        """Read the wordings anew."""
        self._wordings.cache_clear()

    def _read_wordings(self, twin: str) -> Wordings:
        return prompts.load(prompts.file(self.settings(twin).data))

    def _folder(self, twin: str) -> Path | None:
        """None: the folder that the server was started in."""
        if twin == self.default:
            return None
        return twins.folders(self._database).get(twin)
