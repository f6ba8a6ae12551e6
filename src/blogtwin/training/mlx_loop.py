"""The training loop in MLX: the very steps that transformers takes. Heavy, as mlx_model is.

In: a Lesson. Out: checkpoints. Not mlx-lm's own loop: that one pads, weighs every batch alike, forgets its optimizer when it
goes on, and knows no validation, schedule or stop but its own. Nothing here is random after the adapter is drawn (the order is
a function of seed and epoch), so a run that goes on computes what an undisturbed one computes, bit for bit.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from math import cos, pi
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, clip_grad_norm
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from peft import LoraConfig
from safetensors import numpy as safetensors

from blogtwin import atomic
from blogtwin.progress import Progress
from blogtwin.training import adapter, curve, mlx_model
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.checkpoints import LOG
from blogtwin.training.mlx_loss import log_probability
from blogtwin.training.precision import Precision
from blogtwin.training.rows import Row

_OPTIMIZER = "optimizer.safetensors"
_SAVE_EVERY = 300.0  # seconds, as in sft.py
_LONGEST_GRADIENT = 1.0  # transformers' max_grad_norm


def train(lesson: Lesson, precision: Precision, progress: Progress) -> Speed:
    """As TrainingBackend.train says, in this precision."""
    settings = lesson.job.settings
    if mx.default_device() == mx.cpu:
        mx.disable_compile()  # on a processor it calls the machine's C++ compiler, for longer than it saves
    model = mlx_model.load(lesson.job.base.folder, precision.bf16)
    mlx_model.add_adapter(model, settings.lora_r, settings.lora_alpha, settings.seed)
    run = _Run(lesson, model, progress)
    with mlx_model.recomputed(model) if precision.frugal else nullcontext():
        return run.to_the_end()


class _Run:
    """The state of one run: what a checkpoint holds, and the clock."""

    def __init__(self, lesson: Lesson, model: Any, progress: Progress) -> None:
        self.lesson = lesson
        self.model = model
        self.progress = progress
        self.optimizer = AdamW(learning_rate=0.0, weight_decay=0.0, bias_correction=True)
        self.optimizer.init(model.trainable_parameters())
        self.step = 0
        self.log: list[dict[str, float]] = []
        self.slope = nn.value_and_grad(model, _loss)
        self.seconds = 0.0
        self.tokens = 0
        self.saved = time.monotonic()

    def to_the_end(self) -> Speed:
        """Take steps, validate, save, until the schedule is over."""
        schedule = self.lesson.schedule
        start = self.lesson.checkpoints.latest()
        if start is None:
            self._note(eval_loss=self._validate())  # a new adapter changes nothing, so this is the base's own loss
        else:
            self._restore(start)
        label = f"Training from step {self.step}" if self.step else "Training"
        with self.progress.task(label, schedule.steps - self.step, "steps") as task:
            while not schedule.is_over(self.log):
                self._take_step()
                rate = f"{self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s"
                task.advance(1, loss=f"{self.log[-1]['loss']:.3f}", rate=rate)
                validates = self.step in schedule.validations
                if validates:
                    self._note(eval_loss=self._validate())
                if validates or time.monotonic() - self.saved > _SAVE_EVERY:
                    self._save()
        return Speed(self.seconds, self.tokens)

    def _take_step(self) -> None:
        """One update by the mean over the answer tokens of a batch; one row at a time, so nothing is padded."""
        began = time.monotonic()
        settings, schedule = self.lesson.job.settings, self.lesson.schedule
        rows = batch(self.lesson.train, settings.batch_size, self.step, settings.seed)
        weight = sum(len(row.tokens) - row.prompt for row in rows)
        loss, gradients = 0.0, None
        for row in rows:
            part, slopes = self.slope(self.model, row, weight)
            gradients = slopes if gradients is None else tree_map(mx.add, gradients, slopes)
            mx.eval(part, gradients)
            loss += float(part)
        gradients, length = clip_grad_norm(gradients, _LONGEST_GRADIENT)
        rate = settings.learning_rate * share(self.step, schedule.warm_up, schedule.steps)
        self.optimizer.learning_rate = rate
        self.optimizer.update(self.model, gradients)
        mx.eval(self.model.trainable_parameters(), self.optimizer.state)
        self.step += 1
        self.tokens += sum(len(row.tokens) for row in rows)
        self.seconds += time.monotonic() - began
        self._note(loss=loss, grad_norm=float(length), learning_rate=rate)

    def _validate(self) -> float:
        """Mean cross-entropy of the validation answers, nats a token."""
        rows = self.lesson.validation
        total = sum(float(log_probability(self.model, row, learns=False)) for row in rows)
        return -total / sum(len(row.tokens) - row.prompt for row in rows)

    def _note(self, **figures: float) -> None:
        """Add a line to the log. Raises ModelError when the numbers are none."""
        settings = self.lesson.job.settings
        epoch = self.step * settings.batch_size / len(self.lesson.train)
        entry = {"step": float(self.step), "epoch": epoch, **figures}
        curve.check(entry, settings.learning_rate)
        self.log.append(entry)

    def _save(self) -> None:
        checkpoints = self.lesson.checkpoints
        folder = checkpoints.at(self.step)
        shutil.rmtree(folder, ignore_errors=True)
        save_adapter(self.model, folder, self.lesson)
        state = {name: mlx_model.as_numpy(value) for name, value in tree_flatten(self.optimizer.state)}
        atomic.write_bytes(folder / _OPTIMIZER, safetensors.save(state))
        state_of_run = {"global_step": self.step, "log_history": self.log}
        atomic.write_text(folder / LOG, json.dumps(state_of_run, indent=2) + "\n")
        checkpoints.done(self.step, self.log)
        self.saved = time.monotonic()

    def _restore(self, step: int) -> None:
        folder = self.lesson.checkpoints.at(step)
        mlx_model.from_peft(self.model, safetensors.load_file(folder / adapter.WEIGHTS))
        state = safetensors.load_file(folder / _OPTIMIZER)
        self.optimizer.state = tree_unflatten([(name, mx.array(value)) for name, value in state.items()])
        self.log = list(json.loads((folder / LOG).read_text("utf-8"))["log_history"])
        self.step = step


def _loss(model: Any, row: Row, weight: int) -> Any:
    return -log_probability(model, row) / weight


def batch(rows: Sequence[Row], size: int, step: int, seed: int) -> list[Row]:
    """The rows of one step. Each epoch shows every row once, in an order of its own; its last batch may be smaller."""
    an_epoch = -(-len(rows) // size)
    epoch, place = divmod(step, an_epoch)
    order = random.Random(f"{seed} {epoch}").sample(range(len(rows)), len(rows))
    return [rows[number] for number in order[place * size : (place + 1) * size]]


def share(step: int, warm_up: int, steps: int) -> float:
    """The share of the peak rate at a step: a linear rise, then half a cosine (transformers' get_cosine_schedule_with_warmup)."""
    if step < warm_up:
        return step / warm_up
    return 0.5 * (1.0 + cos(pi * (step - warm_up) / max(1, steps - warm_up)))


def save_adapter(model: Any, folder: Path, lesson: Lesson) -> None:
    """The adapter as PEFT keeps it. Raises OutputError."""
    settings = lesson.job.settings
    config = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules=sorted({name.rpartition(".")[2] for name in mlx_model.adapters(model)}),
        task_type="CAUSAL_LM",
        inference_mode=True,
        base_model_name_or_path=lesson.job.base.source,
    )
    with atomic.writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        config.save_pretrained(folder)
    atomic.write_bytes(folder / adapter.WEIGHTS, safetensors.save(mlx_model.to_peft(model), {"format": "pt"}))
