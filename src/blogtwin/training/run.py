"""One training run, the same for every backend: a job in, a complete adapter folder out.

Here is what all backends share: rows, schedule, the checkpoint to go on from, memory, figures, verdict. The backend
turns rows into checkpoints (see base.py); finished.py makes the adapter folder of the best one.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict
from math import exp
from typing import Any

from blogtwin import adapter_folder, atomic, processes
from blogtwin.errors import ModelError, NothingUsable
from blogtwin.manifest import hash_settings
from blogtwin.progress import Progress
from blogtwin.training import curve, finished
from blogtwin.training.base import Lesson, Speed, Trained, TrainingBackend, TrainJob
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.rows import AnyRow, Rows, paired, rated, tokenized
from blogtwin.training.schedule import MOST_VALIDATION_ROWS, Schedule
from blogtwin.training.tokenizer import load

_CUT: dict[str, Any] = {"sft": tokenized, "dpo": paired, "kto": rated}  # records → Rows, by method
_HOPELESS = 1.5  # so many times the memory there is: swapping would take weeks, where it does not end in a kill


def train(job: TrainJob, backend: TrainingBackend, progress: Progress) -> Trained:
    """Train, and leave a complete adapter folder at `job.output`; until then what was there stays usable.

    A run that was killed goes on from its last checkpoint and ends with the same bytes.
    Raises ModelError for a base that does not load, does not fit the memory or diverges; NothingUsable when no example
    fits; OutputError.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    check_memory(job, backend, progress)
    tokenizer = load(job.base.folder)
    max_length = min(job.settings.max_length, job.base.context_length)
    train_rows, validation_rows, notes = rows_of(job, tokenizer, max_length)
    schedule = Schedule.plan(len(train_rows), job.settings)
    checkpoints = Checkpoints(adapter_folder.work_folder(job.output), _fingerprint(job, backend, schedule))
    _agree(job, checkpoints, progress)
    lesson = Lesson(job, tokenizer, train_rows, validation_rows, schedule, checkpoints)
    speed: Speed | None = None
    began = time.monotonic()
    if not schedule.is_over(checkpoints.log()):
        speed = _taught(lesson, backend, progress)
    trained: Trained | None = None
    if processes.is_main():
        log = checkpoints.log()
        own = max(1, len(train_rows) - job.replayed)
        card = finished.write(job, backend.libraries, max_length, own, checkpoints)
        shutil.rmtree(adapter_folder.work_folder(job.output), ignore_errors=True)
        figures = _figures(job, log, own, time.monotonic() - began, speed)
        trained = Trained(card, figures, (*notes, *_verdict(job, log, schedule)))
    trained = processes.told(trained)
    assert trained is not None
    return trained


def _agree(job: TrainJob, checkpoints: Checkpoints, progress: Progress) -> None:
    """All processes are about to do the same, from the same checkpoint; what no run can use is removed before."""
    processes.check_same(
        checkpoints.fingerprint,
        f"other data, settings, versions or weights of {job.base.name}, or another kind of device,",
        "give every machine the same files and the same environment",
    )
    if processes.is_main():
        for remark in checkpoints.sweep():
            progress.note(remark)
    processes.wait()
    if processes.count() > 1:
        processes.check_same(
            checkpoints.latest(),
            f"other checkpoints in {checkpoints.folder}",
            "--output has to be one folder that all machines share",
        )


def _taught(lesson: Lesson, backend: TrainingBackend, progress: Progress) -> Speed:
    start = lesson.checkpoints.latest()
    if start is not None:
        progress.note(f"going on from step {start} of {lesson.schedule.steps}")
    try:
        with atomic.writing_to(lesson.job.output):
            lesson.checkpoints.folder.mkdir(parents=True, exist_ok=True)
            return backend.train(lesson, progress)
    finally:
        if processes.is_main():
            lesson.checkpoints.sweep()  # an interrupted run leaves nothing half-written


def rows_of(job: TrainJob, tokenizer: Any, max_length: int) -> tuple[list[AnyRow], list[AnyRow], list[str]]:
    """Training rows, validation rows and remarks. Raises NothingUsable when one side is empty."""
    cut = _CUT[job.settings.method]
    sides: dict[str, Rows[Any]] = {
        name: cut(records, tokenizer, job.base.template, job.settings.system_prompt, max_length)
        for name, records in (("training", job.train), ("validation", job.validation))
    }
    notes = []
    if max_length < job.settings.max_length:
        notes.append(f"{job.base.name} reads at most {max_length} tokens, so max_length is {max_length} here")
    for name, side in sides.items():
        if not side.rows:
            raise NothingUsable(
                f"none of the {side.left_out} {name} examples fits into {max_length} tokens",
                "give the examples more room: --max-length 2048, or make shorter ones: blogtwin prepare-dataset",
            )
        if side.cut or side.left_out:
            notes.append(
                f"{name}: {side.cut} of {len(side.rows)} answers end early, at a sentence, to fit into {max_length} "
                f"tokens; {side.left_out} examples were left out because their prompt leaves no room for an answer"
            )
    validation = sides["validation"].rows
    step = max(1, -(-len(validation) // MOST_VALIDATION_ROWS))
    return sides["training"].rows, validation[::step], notes


def check_memory(job: TrainJob, backend: TrainingBackend, progress: Progress) -> None:
    """A warning when it will be tight, now and not after the night it may cost. Raises ModelError when it cannot be."""
    memory = backend.memory(job)
    if not memory.available or memory.needed < memory.available:
        return
    fact = (
        f"training {job.base.name} takes about {memory.needed / 2**30:.0f} GiB of memory and this machine has "
        f"{memory.available / 2**30:.0f}"
    )
    if memory.needed > _HOPELESS * memory.available:
        raise ModelError(fact, "take a smaller base: --base-model smollm2:360m")
    progress.note(f"{fact}: if it is killed, take a smaller base, such as smollm2:360m")


def _fingerprint(job: TrainJob, backend: TrainingBackend, schedule: Schedule) -> str:
    """A hash of everything that decides what this run computes: its checkpoints serve no other run."""
    return hash_settings(
        {
            "data": job.data_hash,
            "settings": asdict(job.settings),
            "base": job.base.fingerprint,
            "parent": job.parent_hash,
            "template": job.base.template.jinja,
            "schedule": [schedule.steps, schedule.warm_up, sorted(schedule.validations)],
            "backend": [backend.name, backend.choices(job)],
            "versions": finished.versions(backend.libraries),
        }
    )


def _figures(job: TrainJob, log: curve.Log, examples: int, seconds: float, speed: Speed | None) -> dict[str, float]:
    measured = curve.validations(log)
    losses = [entry["loss"] for entry in log if "loss" in entry]
    best = curve.best_step(log) or 0
    figures: dict[str, float] = {
        "examples": examples,
        **({"replayed": job.replayed} if job.replayed else {}),
        "steps": max(int(entry["step"]) for entry in log),
        "best_step": best,
        "loss": round(sum(losses[-10:]) / len(losses[-10:]), 4),
        "validation_loss": round(measured[best], 4),
    }
    if job.settings.method == "sft":
        figures["validation_perplexity"] = round(exp(measured[best]), 2)
        if 0 in measured:
            figures["base_validation_perplexity"] = round(exp(measured[0]), 2)
    for name in ("accuracy", "margin"):  # of dpo and kto
        found = [entry[f"eval_{name}"] for entry in log if entry["step"] == best and f"eval_{name}" in entry]
        if found:
            figures[f"validation_{name}"] = round(found[-1], 4)
    if speed and speed.seconds:
        figures["tokens_per_second"] = round(speed.tokens / speed.seconds, 1)
    figures["seconds"] = round(seconds, 1)
    return figures


def _verdict(job: TrainJob, log: curve.Log, schedule: Schedule) -> list[str]:
    measured = curve.validations(log)
    best = curve.best_step(log) or 0
    last = max(measured)
    notes = []
    if last < schedule.steps:
        notes.append(f"stopped early at step {last} of {schedule.steps}: no better than at step {best}, which was kept")
    if measured[best] >= measured.get(0, float("inf")):
        notes.append(
            f"the new adapter does no better on what was held out than {job.parent}: try more data, or another --lr"
            if job.parent
            else "the twin predicts the held-out posts no better than its base: try more posts, or another --lr"
        )
    return notes
