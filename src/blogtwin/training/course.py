"""What trl's trainers have in common here, whatever the method: when to validate, save and stop, and what a checkpoint is.

Heavy: imports transformers. In: a Lesson and a trainer. Out: checkpoints, with the log of the run.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Sequence
from math import nan
from typing import Any, TypeVar

import datasets
import torch
import transformers
from safetensors import SafetensorError
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from blogtwin import processes
from blogtwin.errors import UsageError
from blogtwin.progress import Progress, Task
from blogtwin.training import curve
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.engine import Engine

T = TypeVar("T")

_SAVE_EVERY = 300.0  # seconds; on a slow machine a kill costs no more than this
_NEARLY_NOTHING = 2**24  # bytes free


def follow(trainer: Any, lesson: Lesson, progress: Progress) -> Speed:
    """Let the trainer run from the last whole checkpoint, or from the start, until the schedule is over.

    Raises UsageError where FSDP was asked for and would be left out in silence.
    """
    if processes.sharded() and not trainer.is_fsdp_enabled:
        raise UsageError(
            "FSDP was asked for, and accelerate has it for GPUs alone: here the processor trains",
            "start the processes with torchrun, or without --use_fsdp: then each holds the whole base",
        )
    course = _Course(trainer, lesson)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(course)
    start = lesson.checkpoints.latest()
    label = f"Training from step {start}" if start else "Training"
    with progress.task(label, lesson.schedule.steps - (start or 0), "steps") as task:
        course.task = task
        trainer.train(resume_from_checkpoint=str(lesson.checkpoints.at(start)) if start else None)
    return Speed(course.seconds, course.tokens)


def configured(kind: Any, lesson: Lesson, engine: Engine, **own: Any) -> Any:
    """trl's training arguments of this kind: those that do not depend on the method, and its own."""
    made = kind(**_arguments(lesson, engine), **own)
    if made.n_gpu > 1:
        made._n_gpu = 1  # one process uses one GPU: transformers would copy the model to all of them at every row
    return made


def _arguments(lesson: Lesson, engine: Engine) -> dict[str, Any]:
    settings = lesson.job.settings
    return {
        "output_dir": str(lesson.checkpoints.folder),
        "max_steps": lesson.schedule.steps,
        # One row at a time: no padding, little memory; the gradients of a batch are added up. Rows of 600 tokens keep a
        # processor busy by themselves (measured with a model of 3.5 million, in tokens a processor second: 1,877 so,
        # 1,520 for padded batches of 4, 1,856 for batches of like length, which also disturb the order).
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": processes.share(settings.batch_size),
        "ddp_find_unused_parameters": False,  # all of the adapter learns from every row
        "per_device_eval_batch_size": 1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": lesson.schedule.warm_up,
        "weight_decay": 0.0,
        "max_length": None,  # rows are cut already, at sentences
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would hide the step at which the loss is no number any more
        "save_strategy": "no",  # _Course decides when to save and validate
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": settings.seed,
        "data_seed": settings.seed,
        **engine.device,
    }


def quiet() -> None:
    """The command line has its own bars and its own words."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()


class OurWay:
    """Mixed into a trl trainer: our validation, a checkpoint without a model card, and one error for a full disk."""

    control: TrainerControl

    def spare(self: Any, batches: Sequence[Any]) -> list[bool]:
        """Which of a step's rows count for nothing on this process.

        Row `n` of a step goes to process `n` modulo their number. Where the last step of an epoch has too few rows,
        accelerate begins the epoch again so that each has as many: those are shown for the second time.
        """
        rows, together = len(self.train_dataset), processes.count()
        size = self.args.gradient_accumulation_steps * together
        first = self.state.global_step % -(-rows // size) * size + processes.rank()
        return [first + number * together >= rows for number in range(len(batches))]

    def my_part(self: Any, held_out: Sequence[T]) -> Sequence[T]:
        """What this process measures of the validation rows. With FSDP all take part in every row, so each has them all."""
        return held_out if self.is_fsdp_enabled else held_out[processes.rank() :: processes.count()]

    def mean(self: Any, total: float, count: float) -> float:
        """The mean over all processes of what each has measured: its sum, and of how many. Of nothing it is no number."""
        parts = [(total, count)] if self.is_fsdp_enabled else processes.gathered((total, count))
        everything = sum(count for _, count in parts)
        return sum(total for total, _ in parts) / everything if everything else nan

    def measured(self) -> dict[str, float]:
        """eval_loss, and what else the method has to tell of the validation rows."""
        raise NotImplementedError

    def evaluate(self: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Measure, log, and let _Course decide."""
        self.model.eval()
        with torch.no_grad():
            metrics: dict[str, float] = self.measured()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self: Any, *given: Any) -> None:
        """torch and safetensors have errors of their own for a full disk; it is one fact, so it becomes one error."""
        try:
            super()._save_checkpoint(*given)  # type: ignore[misc]  # the trainer's, behind this class
        except (RuntimeError, SafetensorError) as fault:
            if shutil.disk_usage(self.args.output_dir).free < _NEARLY_NOTHING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from fault
            raise

    def _save_rng_state(self: Any, output_dir: str) -> None:
        """The main process's is enough: nothing here is random after the adapter is drawn."""
        if processes.is_main():
            super()._save_rng_state(output_dir)  # type: ignore[misc]

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The adapter folder gets a README of its own."""


class _Course(TrainerCallback):  # type: ignore[misc]  # transformers' types are not followed
    """When to validate, save and stop; and what the bar shows."""

    task: Task

    def __init__(self, trainer: Any, lesson: Lesson) -> None:
        self.trainer = trainer
        self.schedule = lesson.schedule
        self.checkpoints = lesson.checkpoints
        self.learning_rate = lesson.job.settings.learning_rate
        self.seconds = 0.0
        self.tokens = 0
        self._step_began = self._saved = time.monotonic()

    def on_train_begin(self, _: TrainingArguments, state: TrainerState, control: TrainerControl, **__: Any) -> None:
        if state.global_step == 0:
            self.trainer.evaluate()  # a new adapter changes nothing, so this is the base's own loss
        self._step_began = time.monotonic()

    def on_step_end(self, _: TrainingArguments, state: TrainerState, control: TrainerControl, **__: Any) -> None:
        now = time.monotonic()
        self.seconds += now - self._step_began
        self._step_began = now
        if state.global_step in self.schedule.validations:
            control.should_evaluate = control.should_save = True
        elif processes.told(now - self._saved > _SAVE_EVERY):
            control.should_save = True

    def on_log(
        self, _: TrainingArguments, state: TrainerState, __: TrainerControl, logs: dict[str, float], **___: Any
    ) -> None:
        curve.check({"step": state.global_step, **logs}, self.learning_rate)
        if "loss" in logs:
            self.tokens = int(logs.get("num_tokens", 0))
            rate = f"{self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s"
            self.task.advance(1, loss=f"{logs['loss']:.3f}", rate=rate)

    def on_evaluate(self, _: TrainingArguments, state: TrainerState, control: TrainerControl, **__: Any) -> None:
        if self.schedule.is_over(state.log_history):
            control.should_training_stop = True
        self._step_began = time.monotonic()

    def on_save(self, _: TrainingArguments, state: TrainerState, __: TrainerControl, **___: Any) -> None:
        if processes.is_main():
            self.checkpoints.done(state.global_step, state.log_history)
        self._saved = self._step_began = time.monotonic()
