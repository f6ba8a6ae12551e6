"""A twin in service → a folder that holds all it needs: to run it on another machine, to keep it, or to pass it on.

Reads the record of the deployment, its files, the adapter's card and the evaluation of this very twin, where there is one.
Writes model.gguf (and adapter.gguf in adapter mode), Modelfile, MODEL_CARD.md, README.md, NOTICE where the base's licence
asks for one, and SHA256SUMS over all of them. The folder appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from blogtwin import atomic, hub
from blogtwin.adapter_folder import WEIGHTS, read_card
from blogtwin.config import Settings
from blogtwin.errors import InputError, ModelError, OutputError
from blogtwin.export.model_card import Told, model_card, readme
from blogtwin.export.modelfile import modelfile
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Artifact, Deployment
from blogtwin.stages import evaluate
from blogtwin.stages.exporting import GGUF, LORA, MODELFILE, base_name
from blogtwin.stages.result import StageResult
from blogtwin.training.table import known_base
from blogtwin.workspace import Workspace, deployment

SUMS = "SHA256SUMS"


def run(
    settings: Settings, workspace: Workspace, into: Path, progress: Progress, name: str | None = None
) -> StageResult:
    """Write the bundle of the twin that `name`, or else `settings.deployment.model_name`, stands for into the folder `into`.

    Raises InputError (no such twin), ModelError (its files are gone or changed), and OutputError (no room, or a folder that
    holds something else than a bundle).
    """
    twin = deployment(name or settings.deployment.model_name)
    settings = replace(settings, deployment=replace(settings.deployment, model_name=twin.name))
    card, into = _card(twin), into.resolve()
    check_place(into)
    with atomic.open_folder(into) as folder:
        files = _weights(twin.artifact, folder, progress)
        told = _told(settings, workspace, twin.name, card, twin.artifact, files)
        _write(folder, MODELFILE, modelfile(twin.artifact, GGUF, LORA if twin.artifact.lora else None))
        _write(folder, "MODEL_CARD.md", model_card(told))
        _write(folder, "README.md", readme(told))
        if notice := told.notice():
            _write(folder, "NOTICE", notice)
        sums = {path.name: files.get(path.name) or hash_file(path) for path in sorted(folder.iterdir())}
        _write(folder, SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    size = sum(path.stat().st_size for path in into.iterdir())
    counts = {"files": float(len(sums) + 1), "megabytes": round(size / 1e6, 1)}
    return StageResult("bundle", counts, (into,), (f"how to run it on another machine: {into / 'README.md'}",))


def _card(twin: Deployment) -> AdapterCard:
    """What the adapter says of itself. Raises ModelError when it is no longer the one that was deployed."""
    adapter = Path(twin.adapter)
    card = read_card(adapter)
    if twin.adapter_sha256 is not None and hash_file(adapter / WEIGHTS) != twin.adapter_sha256:
        raise ModelError(
            f"{adapter} is not what {twin.name} was made from any more", "deploy it again: blogtwin deploy"
        )
    return card


def check_place(into: Path) -> None:
    """Raises OutputError when `into` holds anything but an earlier bundle: it will be replaced as a whole."""
    if not into.exists():
        return
    if not into.is_dir():
        raise OutputError(f"{into} is a file, not a folder", "name another folder with --bundle")
    there = {path.name for path in into.iterdir()}
    if there and there != _listed(into / SUMS):
        raise OutputError(
            f"{into} holds something else than a bundle of blogtwin",
            "name a folder that is new or empty with --bundle: what is in a bundle's folder is replaced",
        )


def _listed(sums: Path) -> set[str]:
    """The names of a bundle's files, by its list, which is one of them; nothing where there is no such list."""
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    return {line.partition("  ")[2] for line in lines} | {sums.name}


def _weights(artifact: Artifact, folder: Path, progress: Progress) -> dict[str, str]:
    """The model files in the bundle: a second name for the same bytes, or a copy where that cannot be. Name → SHA-256."""
    wanted = {GGUF: (artifact.gguf, artifact.gguf_sha256)}
    if artifact.lora and artifact.lora_sha256:
        wanted[LORA] = (artifact.lora, artifact.lora_sha256)
    with progress.task("Bundling", len(wanted), "files") as task:
        for name, (path, digest) in wanted.items():
            if not Path(path).is_file():
                raise ModelError(f"the model file {path} is gone", "make it again with: blogtwin deploy")
            try:
                os.link(path, folder / name)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, folder / name)
            if hash_file(folder / name) != digest:
                raise ModelError(f"{path} is not what was deployed", "make it again with: blogtwin deploy")
            task.advance()
    return {name: digest for name, (_, digest) in wanted.items()}


def _told(
    settings: Settings, workspace: Workspace, name: str, card: AdapterCard, artifact: Artifact, files: dict[str, str]
) -> Told:
    known = known_base(card.base_model, card.base_path)
    figures, verdict = _evaluation(settings, workspace)
    return Told(
        name=name.partition(":")[0],
        base=base_name(card),
        repository=card.base_path if card.base_revision and hub.is_repository(card.base_path) else None,
        licence=known.licence if known else None,
        card=card,
        artifact=artifact,
        evaluation=figures,
        verdict=verdict,
        files=files,
    )


def _evaluation(settings: Settings, workspace: Workspace) -> tuple[dict[str, float] | None, str | None]:
    """The figures and the words of the report, if it is there and of this very twin: its manifest says whose it is."""
    todo = evaluate.plan(settings, workspace)
    done = todo.read()
    if done is None or not workspace.report.is_file() or not todo.vouched():
        return None, None
    try:
        verdict = json.loads(workspace.report.read_text(encoding="utf-8")).get("verdict")
    except (ValueError, AttributeError) as fault:
        raise InputError(f"{workspace.report} is no report", "make it again with: blogtwin evaluate") from fault
    sentence = verdict.get("sentence") if isinstance(verdict, dict) else verdict
    return done.counts, sentence if isinstance(sentence, str) else None


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8", newline="")
