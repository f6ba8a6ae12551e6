"""Supervised training with trl, as blogtwin runs it. Heavy: torch and trl are loaded with this module, so it is imported
only when training begins.

In: a Lesson. Out: checkpoints, with the log of the run. A run that goes on from a checkpoint computes what an
undisturbed one computes, bit for bit: `tests/test_finetune.py` holds it to that.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Sequence
from typing import Any

import datasets
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import SFTConfig, SFTTrainer

from blogtwin.config import TrainingSettings
from blogtwin.errors import ModelError
from blogtwin.progress import Progress, Task
from blogtwin.training import curve
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.models import Base
from blogtwin.training.precision import Precision
from blogtwin.training.rows import Row
from blogtwin.training.schedule import Schedule

_SAVE_EVERY = 300.0  # seconds; on a slow machine a kill costs no more than this
_NEARLY_NOTHING = 2**24  # bytes free


def train(lesson: Lesson, precision: Precision, progress: Progress) -> Speed:
    """As TrainingBackend.train says, in this precision."""
    _quiet()
    settings, checkpoints = lesson.job.settings, lesson.checkpoints
    transformers.set_seed(settings.seed)  # before the adapter's first weights are drawn
    model = _with_lora(_load(lesson.job.base, precision), settings)
    course = _Course(lesson.schedule, checkpoints, settings.learning_rate)
    trainer = _Trainer(
        model=model,
        args=_arguments(settings, lesson.schedule, precision, checkpoints),
        train_dataset=datasets.Dataset.from_list(
            [{"input_ids": row.tokens, "labels": row.labels} for row in lesson.train]
        ),
        processing_class=lesson.tokenizer,
        callbacks=[course],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.validation_rows = lesson.validation
    course.trainer = trainer
    start = checkpoints.latest()
    label = f"Training from step {start}" if start else "Training"
    with progress.task(label, lesson.schedule.steps - (start or 0), "steps") as task:
        course.task = task
        trainer.train(resume_from_checkpoint=str(checkpoints.at(start)) if start else None)
    return Speed(course.seconds, course.tokens)


class _Trainer(SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """trl's trainer with a validation loss that weighs every token alike, and no model card at each checkpoint."""

    validation_rows: Sequence[Row]
    control: TrainerControl

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Mean cross-entropy of the validation answers, nats a token."""
        self.model.eval()
        total, count = 0.0, 0
        size = self.args.per_device_eval_batch_size
        with torch.no_grad():
            for first in range(0, len(self.validation_rows), size):
                rows = self.validation_rows[first : first + size]
                batch = self.data_collator([{"input_ids": row.tokens, "labels": row.labels} for row in rows])
                tokens = int((batch["labels"][:, 1:] != -100).sum())
                total += float(self.model(**batch, use_cache=False).loss) * tokens
                count += tokens
        metrics = {"eval_loss": total / count}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, *given: Any) -> None:
        """torch and safetensors have errors of their own for a full disk; it is one fact, so it becomes one error."""
        try:
            super()._save_checkpoint(*given)
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

    trainer: _Trainer
    task: Task

    def __init__(self, schedule: Schedule, checkpoints: Checkpoints, learning_rate: float) -> None:
        self.schedule = schedule
        self.checkpoints = checkpoints
        self.learning_rate = learning_rate
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


def _load(base: Base, precision: Precision) -> Any:
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.folder,
            dtype=torch.bfloat16 if precision.bf16 else torch.float32,
            local_files_only=True,
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as fault:
        raise ModelError(
            f"the base model in {base.folder} does not load: {str(fault).strip().splitlines()[0]}",
            "fetch or copy that model again, or choose another with --base-model",
        ) from fault
    model.config.use_cache = False
    return model


def _with_lora(model: Any, settings: TrainingSettings) -> Any:
    """LoRA on every linear layer but the output (Hu et al., 2021, arXiv:2106.09685; all layers: Dettmers et al., 2023)."""
    return get_peft_model(
        model,
        LoraConfig(
            r=settings.lora_r,
            lora_alpha=settings.lora_alpha,
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def _arguments(
    settings: TrainingSettings, schedule: Schedule, precision: Precision, checkpoints: Checkpoints
) -> SFTConfig:
    return SFTConfig(
        output_dir=str(checkpoints.folder),
        use_cpu=True,
        bf16=False,  # mixed precision is for accelerators; here the base itself is in bfloat16, where it is used
        max_steps=schedule.steps,
        # One example at a time: no padding, little memory; the gradients of a batch are added up.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.batch_size,
        per_device_eval_batch_size=1,
        gradient_checkpointing=precision.frugal,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=schedule.warm_up,
        weight_decay=0.0,
        loss_type="chunked_nll",  # the vocabulary's logits for the answers alone, a few hundred tokens at a time
        max_length=None,  # rows are cut already, at sentences
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would hide the step at which the loss is no number any more
        save_strategy="no",  # _Course decides when to save and validate
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=settings.seed,
        data_seed=settings.seed,
    )


def _quiet() -> None:
    """The command line has its own bars and its own words."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
