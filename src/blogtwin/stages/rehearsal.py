"""finetune --dry-run: what a training run would take on this machine, and what it would learn from.

In: settings, the training file, and the base where it is here. Out: a Rehearsal; nothing is left on the disk, and nothing is
downloaded.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blogtwin import adapter_folder, hub, processes
from blogtwin.chat_template import CHATML
from blogtwin.config import Settings, TrainingSettings
from blogtwin.errors import ModelError
from blogtwin.export.vocabulary import check_vocabulary
from blogtwin.progress import Progress
from blogtwin.records import Example
from blogtwin.stages import finetune
from blogtwin.stages.effective import effective
from blogtwin.stages.forecast import forecast, total
from blogtwin.training import estimate, hardware, models, parent, rehearsal, sizes, starter
from blogtwin.training import run as training_run
from blogtwin.training.autopilot import Choice
from blogtwin.training.base import Lesson, TrainingBackend, TrainJob
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.choose import choose, unused
from blogtwin.training.estimate import Estimate, Pace
from blogtwin.training.material import Material
from blogtwin.training.preferences import Pair
from blogtwin.training.rows import AnyRow, PairRow, RatedRow, asked
from blogtwin.training.schedule import Schedule
from blogtwin.training.table import KNOWN
from blogtwin.training.tokenizer import load
from blogtwin.workspace import Workspace

_SHOWN = 3
_STARTER_STEPS = 4
_MEASURED = "measured with a few steps on this machine, as busy as it is now"


@dataclass(frozen=True)
class Shown:
    """One example as the model reads it: text that is given, and text that is learned. against: a worse answer, if any."""

    prompt: str
    answer: str
    against: str = ""


@dataclass(frozen=True)
class Rehearsal:
    """estimate: of the whole run. choices: settings that were chosen. examples: the first few. notes: for people."""

    estimate: Estimate
    choices: tuple[Choice, ...]
    examples: tuple[Shown, ...]
    notes: tuple[str, ...]


def run(settings: Settings, workspace: Workspace, progress: Progress) -> Rehearsal:
    """Take a few real steps where the base is here, else guess. Raises what `finetune` would raise before its first step."""
    processes.check_alone("a dry run")
    planned = effective(settings, workspace.training_data)
    todo = finetune.plan(settings, workspace)
    learned = finetune.material_of(planned.training, settings, todo)
    found = hardware.detect_hardware_platform()
    backend = choose(found, settings.machine.backend)
    remark = unused(found, backend)
    with tempfile.TemporaryDirectory(prefix="blogtwin-") as folder:
        scratch = replace(workspace, model=Path(folder) / "twin")
        base, missing = _base(planned.training, learned, scratch, settings, found.platform, progress)
        job = finetune.job_of(planned.training, learned, base, found, settings, scratch, todo)
        training_run.check_memory(job, backend, progress)
        if missing:
            size = _download(planned.training.base_model, found.platform, base.parameters, settings.machine.offline)
            expected, shown = (
                forecast(job, backend, settings, size),
                [_plain(record, job) for record in job.train[:_SHOWN]],
            )
            notes = [f"{missing.message}: its {estimate.size(size)} would be downloaded first"]
            notes.append("the examples are shown without the markers that the base puts around questions and answers")
        else:
            expected, shown, notes = _measured(job, backend, settings, progress)
    said = (*([remark] if remark else []), *planned.remarks, *learned.remarks, *notes)
    return Rehearsal(expected, planned.choices, tuple(shown), said)


def _measured(
    job: TrainJob, backend: TrainingBackend, settings: Settings, progress: Progress
) -> tuple[Estimate, list[Shown], list[str]]:
    tokenizer = load(job.base.folder)
    max_length = min(job.settings.max_length, job.base.context_length)
    train, held, notes = training_run.rows_of(job, tokenizer, max_length)
    schedule = Schedule.plan(len(train), job.settings)
    checkpoints = Checkpoints(adapter_folder.work_folder(job.output), "rehearsal")
    pace = rehearsal.rehearse(Lesson(job, tokenizer, train, held, schedule, checkpoints), backend, progress)
    if job.base.name == models.STARTER:
        pace = replace(pace, start=pace.start + _starter_seconds(pace))
    counts = [[rehearsal.tokens(row) for row in rows] for rows in (train, held)]
    expected = total(job, pace, counts[0], counts[1], settings, _MEASURED)
    return expected, [_rendered(row, tokenizer) for row in train[:_SHOWN]], notes


def _starter_seconds(pace: Pace) -> float:
    """What making the whole starter takes; all of its weights learn, so a token costs half as much again."""
    return 1.5 * starter.STEPS * starter.BATCH * starter.WINDOW * pace.token


def _base(
    training: TrainingSettings,
    learned: Material,
    scratch: Workspace,
    settings: Settings,
    platform: hardware.Platform,
    progress: Progress,
) -> tuple[models.Base, ModelError | None]:
    """The base, or one that has only its size and the reason why it is not here. A starter is made in a few steps."""
    name, threads = training.base_model, settings.machine.threads
    if training.from_adapter:
        return parent.base_of(training, True, progress), None
    if name == models.STARTER:
        texts = starter.texts_of(learned.train)
        folder = starter.make(texts, scratch.model / "base", training.seed, threads, progress, _STARTER_STEPS)
        return models.check(name, folder, adapter_folder.OWN_BASE), None
    try:
        found = models.resolve(name, True, progress, platform)
        check_vocabulary(found.folder)
        return found, None
    except ModelError as missing:
        repository = hardware.get_platform_model_name(platform, name).partition("@")[0]
        if Path(name).expanduser().is_dir() or not hub.is_repository(repository):
            raise
        nothing = models.Base(name, Path(), repository, "", CHATML, training.max_length, sizes.parameters(name))
        return nothing, missing


def _download(name: str, platform: hardware.Platform, parameters: int, offline: bool) -> int:
    """Bytes: 16 bits a parameter, or what the hub lists for a repository that the table does not know."""
    repository, _, revision = hardware.get_platform_model_name(platform, name).partition("@")
    if name not in KNOWN and not offline:
        with contextlib.suppress(ModelError):
            return hub.size_of(repository, revision or None)
    return 2 * parameters


def _rendered(row: AnyRow, tokenizer: Any) -> Shown:
    """A row as the model reads it."""
    if isinstance(row, PairRow):
        return Shown(*(tokenizer.decode(part) for part in (row.prompt, row.chosen, row.rejected)))
    if isinstance(row, RatedRow):
        prompt, answer = tokenizer.decode(row.prompt), tokenizer.decode(row.completion)
        return Shown(prompt, answer) if row.label else Shown(prompt, "", answer)
    return Shown(tokenizer.decode(row.tokens[: row.prompt]), tokenizer.decode(row.tokens[row.prompt :]))


def _plain(record: Any, job: TrainJob) -> Shown:
    """A record without any markers, for want of a tokenizer."""
    system = job.settings.system_prompt
    turns = record.conversation(system) if isinstance(record, Example) else asked(record.prompt, system, record.before)
    prompt = "".join(f"{turn.content}\n\n" for turn in turns)
    if isinstance(record, Example):
        return Shown(prompt, record.output)
    if isinstance(record, Pair):
        return Shown(prompt, record.chosen, record.rejected)
    return Shown(prompt, record.completion) if record.label else Shown(prompt, "", record.completion)
