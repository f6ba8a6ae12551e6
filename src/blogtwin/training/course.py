"""What trl's trainers have in common here, whatever the method: when to validate, save and stop, and what a checkpoint is.

Heavy: imports transformers. In: a Lesson and a trainer. Out: checkpoints, with the log of the run.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from typing import Any

import datasets
import torch
import transformers
from safetensors import SafetensorError
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from blogtwin.progress import Progress, Task
from blogtwin.training import curve
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.engine import Engine

_SAVE_EVERY = 300.0  # seconds; on a slow machine a kill costs no more than this
_NEARLY_NOTHING = 2**24  # bytes free


def follow(trainer: Any, lesson: Lesson, progress: Progress) -> Speed:
    """Let the trainer run from the last whole checkpoint, or from the start, until the schedule is over."""
    course = _Course(trainer, lesson)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(course)
    start = lesson.checkpoints.latest()
    label = f"Training from step {start}" if start else "Training"
    with progress.task(label, lesson.schedule.steps - (start or 0), "steps") as task:
        course.task = task
        trainer.train(resume_from_checkpoint=str(lesson.checkpoints.at(start)) if start else None)
    return Speed(course.seconds, course.tokens)


def arguments(lesson: Lesson, engine: Engine) -> dict[str, Any]:
    """The training arguments that do not depend on the method."""
    settings = lesson.job.settings
    return {
        "output_dir": str(lesson.checkpoints.folder),
        "max_steps": lesson.schedule.steps,
        # One row at a time: no padding, little memory; the gradients of a batch are added up. Rows of 600 tokens keep a
        # processor busy by themselves (measured with a model of 3.5 million, in tokens a processor second: 1,877 so,
        # 1,520 for padded batches of 4, 1,856 for batches of like length, which also disturb the order).
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": settings.batch_size,
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

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._step_began = time.monotonic()

    def on_step_end(self, _: TrainingArguments, state: TrainerState, control: TrainerControl, **__: Any) -> None:
        now = time.monotonic()
        self.seconds += now - self._step_began
        if state.global_step in self.schedule.validations:
            control.should_evaluate = control.should_save = True
        elif now - self._saved > _SAVE_EVERY:
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

    def on_save(self, _: TrainingArguments, state: TrainerState, __: TrainerControl, **___: Any) -> None:
        self._saved = time.monotonic()
        self.checkpoints.done(state.global_step, state.log_history)
