"""The training loop in MLX: the very steps that transformers takes. Heavy, as mlx_model is.

In: a Lesson. Out: checkpoints. Not mlx-lm's own loop: that one pads, weighs every batch alike, forgets its optimizer when it
goes on, and knows no validation, schedule or stop but its own. Nothing here is random after the adapter is drawn (the order is
a function of seed and epoch), so a run that goes on computes what an undisturbed one computes, bit for bit.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from contextlib import nullcontext
from math import cos, pi
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, clip_grad_norm
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from mlx_lm.utils import maybe_set_recommended_wired_limit
from peft import LoraConfig
from safetensors import numpy as safetensors

from blogtwin import adapter_folder, atomic
from blogtwin.errors import ModelError
from blogtwin.progress import Progress
from blogtwin.training import curve, mlx_model
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.checkpoints import LOG
from blogtwin.training.mlx_methods import method_of
from blogtwin.training.precision import Precision

_OPTIMIZER = "optimizer.safetensors"
_SAVE_EVERY = 300.0  # seconds, as in sft.py
_MOST_CACHE = 2**31  # bytes; rows of every length leave buffers that fit no other row
_OUT_OF_MEMORY = re.compile("Insufficient Memory|Attempting to allocate|Unable to allocate")  # as MLX says it
_LONGEST_GRADIENT = 1.0  # transformers' max_grad_norm


def train(lesson: Lesson, precision: Precision, progress: Progress) -> Speed:
    """As TrainingBackend.train says, in this precision. Raises ModelError too when the memory runs out."""
    settings = lesson.job.settings
    _set_up()
    try:
        model = mlx_model.load(lesson.job.base.folder, precision.bf16)
        mlx_model.add_adapter(model, settings.lora_r, settings.lora_alpha, settings.seed)
        if lesson.job.parent:
            mlx_model.from_peft(model, safetensors.load_file(lesson.job.parent / adapter_folder.WEIGHTS))
        run = _Run(lesson, model, progress)
        with mlx_model.recomputed(model) if precision.frugal else nullcontext():
            return run.to_the_end()
    except RuntimeError as fault:
        if not _OUT_OF_MEMORY.search(str(fault)):
            raise
        raise ModelError(
            f"the GPU's share of the memory ran out while training {lesson.job.base.name}: {str(fault).splitlines()[0]}",
            f"close other programs and go on from the last checkpoint with the same command, or make the examples "
            f"shorter: --max-length {settings.max_length // 2}, or take a smaller base",
        ) from fault


def _set_up() -> None:
    """What the whole process decides once."""
    if mx.default_device() == mx.cpu:
        mx.disable_compile()  # on a processor it calls the machine's C++ compiler, for longer than it saves
    else:
        maybe_set_recommended_wired_limit()  # macOS else moves a large model out of the GPU's reach between steps
    mx.set_cache_limit(_MOST_CACHE)


class _Run:
    """The state of one run: what a checkpoint holds, and the clock."""

    def __init__(self, lesson: Lesson, model: Any, progress: Progress) -> None:
        self.lesson = lesson
        self.model = model
        self.progress = progress
        self.method = method_of(lesson)
        self.optimizer = AdamW(learning_rate=0.0, weight_decay=0.0, bias_correction=True)
        self.optimizer.init(model.trainable_parameters())
        self.slope = nn.value_and_grad(model, lambda model, loss: loss(model))
        self.step = 0
        self.log: list[dict[str, float]] = []
        self.seconds = 0.0
        self.tokens = 0
        self.saved = time.monotonic()

    def to_the_end(self) -> Speed:
        """Take steps, validate, save, until the schedule is over."""
        schedule = self.lesson.schedule
        with mlx_model.weights_of(self.model, self.lesson.job.settings.reference):
            self.method.prepare(self.model, self.progress)
        start = self.lesson.checkpoints.latest()
        if start is None:
            self._note(self.method.measured(self.model))  # before any training: a new adapter changes nothing
        else:
            self._restore(start)
        label = f"Training from step {self.step}" if self.step else "Training"
        with self.progress.task(label, schedule.steps - self.step, "steps") as task:
            while not schedule.is_over(self.log):
                loss = self._take_step()
                task.advance(1, loss=f"{loss:.3f}", rate=f"{self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s")
                if self.step in schedule.validations:
                    self._note(self.method.measured(self.model))
                    self._save()
                elif time.monotonic() - self.saved > _SAVE_EVERY:
                    self._save()
        return Speed(self.seconds, self.tokens)

    def _take_step(self) -> float:
        """One update, and the loss before it; one row at a time, so nothing is padded and little is in memory."""
        began = time.monotonic()
        settings, schedule = self.lesson.job.settings, self.lesson.schedule
        batch = self.method.batch(self.model, self.step)
        total, gradients = 0.0, None
        for loss in batch.losses:
            value, slopes = self.slope(self.model, loss)
            gradients = slopes if gradients is None else tree_map(mx.add, gradients, slopes)
            mx.eval(value, gradients)
            total += value.item()
        gradients, length = clip_grad_norm(gradients, _LONGEST_GRADIENT)
        rate = settings.learning_rate * share(self.step, schedule.warm_up, schedule.steps)
        self.optimizer.learning_rate = rate
        self.optimizer.update(self.model, gradients)
        mx.eval(self.model.trainable_parameters(), self.optimizer.state)
        self.step += 1
        self.tokens += batch.tokens
        self.seconds += time.monotonic() - began
        self._note({"loss": total, "grad_norm": length.item(), "learning_rate": rate})
        return total

    def _note(self, figures: dict[str, float]) -> None:
        """Add a line to the log. Raises ModelError when the numbers are none."""
        settings = self.lesson.job.settings
        rows = len(self.lesson.train)
        epochs, batches = divmod(self.step, -(-rows // settings.batch_size))
        entry = {"step": float(self.step), "epoch": epochs + batches * settings.batch_size / rows, **figures}
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
        mlx_model.from_peft(self.model, safetensors.load_file(folder / adapter_folder.WEIGHTS))
        state = safetensors.load_file(folder / _OPTIMIZER)
        self.optimizer.state = tree_unflatten([(name, mx.array(value)) for name, value in state.items()])
        self.log = list(json.loads((folder / LOG).read_text("utf-8"))["log_history"])
        self.step = step


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
    atomic.write_bytes(folder / adapter_folder.WEIGHTS, safetensors.save(mlx_model.to_peft(model), {"format": "pt"}))
