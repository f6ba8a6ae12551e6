"""finetune: examples and a base model → an adapter folder, models/NAME.

Reads training_data.jsonl and, beside it, validation.jsonl (without one, a tenth of the posts is held out), or a file of
preferences and the adapter to go on from. A run that was killed goes on from its last checkpoint; one with other data or
settings starts over. Several processes may run it together (see processes.py): they read the same and the main one writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from blogtwin import adapter_folder, atomic, processes
from blogtwin.config import MachineSettings, Settings, TrainingSettings
from blogtwin.errors import ModelError, UsageError
from blogtwin.export.vocabulary import check_vocabulary
from blogtwin.manifest import Plan, hash_file, hash_settings
from blogtwin.progress import Progress
from blogtwin.stages.effective import effective
from blogtwin.stages.forecast import forecast
from blogtwin.stages.result import StageResult
from blogtwin.training import base, hardware, material, models, parent, starter
from blogtwin.training import run as training_run
from blogtwin.training.choose import choose, unused
from blogtwin.training.device import Device
from blogtwin.workspace import Workspace, manifest_beside


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What it reads (a base given as a folder too), the settings that decide the weights, and the files it writes."""
    training = effective(settings, workspace.training_data).training
    own = Path(training.base_model).expanduser()
    validation = material.validation_file(training.method, workspace.training_data, workspace.validation)
    before = training.from_adapter
    decide = asdict(training) | {"replay_share": settings.learning.replay}
    if not training.replay:
        decide = {name: value for name, value in decide.items() if not name.startswith("replay")}
    if not training.reference:
        del decide["reference"]
    adapters = [path for path in (before, training.reference) if path]
    return Plan(
        stage="finetune",
        settings=decide,
        inputs=(
            workspace.training_data,
            validation,
            *([own] if own.is_dir() else []),
            *(path / name for path in adapters for name in (adapter_folder.WEIGHTS, adapter_folder.CARD)),
            *training.replay,
        ),
        outputs=tuple(workspace.model / name for name in (*adapter_folder.FILES, adapter_folder.OWN_BASE)),
        manifest=manifest_beside(workspace.model),
    )


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Train. Raises NothingUsable, ModelError, OutputError; a KeyboardInterrupt leaves the last checkpoint."""
    todo = plan(settings, workspace)
    planned = effective(settings, workspace.training_data)
    training = planned.training
    processes.share(training.batch_size)
    _check_output(training, workspace)
    learned = material_of(training, settings, todo)
    found = hardware.detect_hardware_platform()
    backend = choose(found, settings.machine.backend)
    if remark := unused(found, backend):
        progress.note(remark)  # now, not after the night on the processor
    for said in (*planned.told, *planned.remarks):
        progress.note(said)
    with processes.together(cpu=processes.count() == 1 or Device.choose(found).name == "cpu"):
        with atomic.writing_to(workspace.model):
            workspace.model.mkdir(parents=True, exist_ok=True)
        with processes.in_turn():  # the first one downloads, or makes the starter, and the others find it
            stands_on = _base(training, workspace, learned.train, settings.machine, found.platform, progress)
        job = job_of(training, learned, stands_on, found, settings, workspace, todo)
        if processes.count() == 1:
            with suppress(ModelError):  # a device that does not compute is named where it is needed
                progress.note(f"{forecast(job, backend, settings).line}; --dry-run measures it")
        trained = training_run.train(job, backend, progress)
        if processes.is_main():
            adapter_folder.load(workspace.model)  # what was written reads back whole
            todo.finish(trained.figures)
    return StageResult(
        stage="finetune",
        counts=trained.figures,
        outputs=(workspace.model,),
        notes=(*planned.remarks, *learned.remarks, *trained.notes),
    )


def material_of(training: TrainingSettings, settings: Settings, todo: Plan) -> material.Material:
    """What it learns from. training: as it takes effect. Raises as material.read, and UsageError for replay without effect."""
    if training.replay and training.method == "dpo" and not training.sft_weight:
        raise UsageError(
            "with dpo, examples that are mixed in are learned with sft_weight, which is 0",
            "take --sft-weight 1, or leave --replay out",
        )
    replay = material.Replay(training.replay, settings.learning.replay, training.seed) if training.replay else None
    own, held_out = todo.inputs[:2]
    return material.read(training.method, own, held_out, replay, settings.learning.least)


def job_of(
    training: TrainingSettings,
    learned: material.Material,
    stands_on: models.Base,
    found: hardware.Hardware,
    settings: Settings,
    workspace: Workspace,
    todo: Plan,
) -> base.TrainJob:
    """What a backend is asked to do. training: as it takes effect. todo: the plan, whose inputs and settings are hashed."""
    return base.TrainJob(
        train=learned.train,
        validation=learned.validation,
        base=stands_on,
        settings=training,
        data_hash=_data_hash((*todo.inputs[:2], *training.replay)),
        settings_hash=todo.settings_hash,
        output=workspace.model,
        hardware=found,
        threads=settings.machine.threads,
        parent=training.from_adapter,
        parent_hash=parent.weights_hash(training.from_adapter) if training.from_adapter else None,
        replayed=learned.replayed,
    )


def _data_hash(paths: tuple[Path, ...]) -> str:
    return hash_settings({path.name: hash_file(path) for path in paths if path.is_file()})


def _check_output(training: TrainingSettings, workspace: Workspace) -> None:
    before = training.from_adapter
    if before and before.resolve() == workspace.model.resolve():
        raise UsageError(
            f"{before} would be replaced by the adapter that goes on from it",
            f"give the new one a folder of its own: --output {before.with_name(before.name + '_2')}",
        )


def _is_starter(training: TrainingSettings) -> bool:
    return training.base_model == models.STARTER


def _base(
    training: TrainingSettings,
    workspace: Workspace,
    train: Sequence[Any],
    machine: MachineSettings,
    platform: hardware.Platform,
    progress: Progress,
) -> models.Base:
    if training.from_adapter:
        return parent.base_of(training, machine.offline, progress)
    if not _is_starter(training):
        found = models.resolve(training.base_model, machine.offline, progress, platform)
        check_vocabulary(found.folder)
        return found
    folder = adapter_folder.work_folder(workspace.model) / adapter_folder.OWN_BASE
    starter.make(starter.texts_of(train), folder, training.seed, machine.threads, progress)
    return models.check(models.STARTER, folder, adapter_folder.OWN_BASE)
