"""Where things are: the files of one folder of work, and the twins in service for this user.

data/raw_blogs.jsonl, training_data.jsonl, validation.jsonl    posts and examples
models/NAME/                                                   one adapter folder a twin
results/eval_report.json                                       what the evaluation found
~/.blogtwin (or BLOGTWIN_HOME)/                                deployments, and what the embedded runtime serves
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from blogtwin import atomic
from blogtwin.config import Settings, model_name
from blogtwin.errors import InputError
from blogtwin.records import Deployment


def home() -> Path:
    """The user's own folder for twins in service."""
    return Path(os.environ.get("BLOGTWIN_HOME") or Path.home() / ".blogtwin")


@dataclass(frozen=True)
class Workspace:
    """Paths of one run; each can be replaced by a flag (dataclasses.replace)."""

    posts: Path
    training_data: Path
    validation: Path
    model: Path
    report: Path

    @classmethod
    def here(cls, settings: Settings) -> Workspace:
        """The default places under the current folder."""
        data = settings.data.output_dir
        return cls(
            posts=data / "raw_blogs.jsonl",
            training_data=data / "training_data.jsonl",
            validation=data / "validation.jsonl",
            model=Path("models") / settings.deployment.model_name.partition(":")[0],
            report=Path("results") / "eval_report.json",
        )


def manifest_beside(output: Path) -> Path:
    """Where the manifest of a stage's output stands: inside a folder, beside a file."""
    return output.with_suffix(".manifest.json") if output.suffix else output / "manifest.json"


def _deployment_file(name: str) -> Path:
    return home() / "deployments" / f"{model_name(name).replace(':', '@')}.json"


def save_deployment(deployment: Deployment) -> None:
    """Let `deployment.name` stand for this deployment from now on."""
    atomic.write_text(_deployment_file(deployment.name), deployment.model_dump_json(indent=2) + "\n")


def find_deployment(name: str) -> Deployment | None:
    """What `name` stands for, or None when nothing was deployed under it."""
    path = _deployment_file(name)
    return Deployment.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def forget_deployment(name: str) -> None:
    """Let `name` stand for nothing any more."""
    _deployment_file(name).unlink(missing_ok=True)


def deployments() -> list[Deployment]:
    """Everything that was deployed for this user, dated versions among it, by name; what cannot be read is passed over."""
    found = []
    for path in sorted((home() / "deployments").glob("*.json")):
        with contextlib.suppress(ValidationError, UnicodeDecodeError, OSError):
            found.append(Deployment.model_validate_json(path.read_text(encoding="utf-8")))
    return found


def deployment_manifest(name: str) -> Path:
    """The manifest of the deploy that `name` stands for: its own, as two names can be made from one adapter folder."""
    return home() / "deployments" / "manifests" / _deployment_file(name).name


def deployment(name: str) -> Deployment:
    """What `name` stands for. Raises InputError, naming the twins that are there."""
    found = find_deployment(name)
    if found is None:
        there = sorted(path.stem.replace("@", ":") for path in (home() / "deployments").glob("*.json"))
        raise InputError(
            f"no twin named {model_name(name)} has been deployed",
            f"deployed here: {', '.join(there)}" if there else "make one with: blogtwin pipeline --blog-dir ./blogs",
        )
    return found
