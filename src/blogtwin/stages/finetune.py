"""finetune: examples and a base model → an adapter folder, models/NAME.

Reads training_data.jsonl and, beside it, validation.jsonl (without one, a tenth of the posts is held out). A run that
was killed goes on from its last checkpoint; one with other data or settings starts over.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from blogtwin import atomic
from blogtwin.config import MachineSettings, Settings, TrainingSettings
from blogtwin.errors import NothingUsable
from blogtwin.export.vocabulary import check_vocabulary
from blogtwin.manifest import Plan, hash_file, hash_settings
from blogtwin.progress import Progress
from blogtwin.records import Example
from blogtwin.stages.result import StageResult
from blogtwin.training import adapter, base, examples, hardware, models, starter
from blogtwin.training import run as training_run
from blogtwin.training.choose import choose
from blogtwin.workspace import Workspace, manifest_beside


def plan(settings: Settings, workspace: Workspace) -> Plan:
    """What it reads (a base given as a folder too), the settings that decide the weights, and the files it writes."""
    training, _ = effective(settings)
    own = Path(training.base_model).expanduser()
    return Plan(
        stage="finetune",
        settings=asdict(training),
        inputs=(workspace.training_data, workspace.validation, *([own] if own.is_dir() else [])),
        outputs=tuple(workspace.model / name for name in (*adapter.FILES, adapter.OWN_BASE)),
        manifest=manifest_beside(workspace.model),
    )


def run(settings: Settings, workspace: Workspace, progress: Progress) -> StageResult:
    """Train. Raises NothingUsable, ModelError, OutputError; a KeyboardInterrupt leaves the last checkpoint."""
    todo = plan(settings, workspace)
    training, remarks = effective(settings)
    train, validation, held_out = _examples(workspace)
    found = hardware.detect_hardware_platform()
    backend = choose(found)
    with atomic.writing_to(workspace.model):
        workspace.model.mkdir(parents=True, exist_ok=True)
    job = base.TrainJob(
        train=train,
        validation=validation,
        base=_base(training, workspace, train, settings.machine, progress),
        settings=training,
        data_hash=hash_settings({path.name: hash_file(path) for path in todo.inputs[:2] if path.is_file()}),
        settings_hash=todo.settings_hash,
        output=workspace.model,
        hardware=found,
        threads=settings.machine.threads,
    )
    trained = training_run.train(job, backend, progress)
    adapter.load(workspace.model)  # what was written reads back whole
    todo.finish(trained.figures)
    return StageResult(
        stage="finetune",
        counts=trained.figures,
        outputs=(workspace.model,),
        notes=(*remarks, *held_out, *trained.notes),
    )


def effective(settings: Settings) -> tuple[TrainingSettings, tuple[str, ...]]:
    """The training settings with what the base needs where the user decided nothing, and remarks that say so."""
    training = settings.training
    changes = {
        name: value
        for name, value in models.recommended(training.base_model).items()
        if ("training", name) not in settings.given
    }
    told = [
        f"{name} is {value:g} for {training.base_model}, not {getattr(training, name):g}; a value you set is kept"
        for name, value in changes.items()
    ]
    return replace(training, **changes), (*told, *([starter.NOTE] if _is_starter(training) else []))


def _is_starter(training: TrainingSettings) -> bool:
    return training.base_model == models.STARTER


def _examples(workspace: Workspace) -> tuple[list[Example], list[Example], tuple[str, ...]]:
    """Training and validation examples, and a remark when the second were taken from the first."""
    train = examples.read(workspace.training_data)
    remark: tuple[str, ...] = ()
    if workspace.validation.is_file():
        validation = examples.read(workspace.validation)
    else:
        train, validation = examples.hold_out(train)
        remark = (f"{workspace.validation} is not there, so {len(validation)} of the examples were held out",)
    for side, path in ((train, workspace.training_data), (validation, workspace.validation)):
        if not side:
            raise NothingUsable(
                f"{path} has no example to {'learn from' if side is train else 'check the twin with'}",
                "give at least two posts, and make the examples with: blogtwin prepare-dataset",
            )
    return train, validation, remark


def _base(
    training: TrainingSettings, workspace: Workspace, train: list[Example], machine: MachineSettings, progress: Progress
) -> models.Base:
    if not _is_starter(training):
        with progress.task(f"Getting {training.base_model}"):
            found = models.resolve(training.base_model, machine.offline)
            check_vocabulary(found.folder)
            return found
    folder = adapter.work_folder(workspace.model) / adapter.OWN_BASE
    starter.make(starter.texts_of(train), folder, training.seed, machine.threads, progress)
    return models.check(models.STARTER, folder, adapter.OWN_BASE)
