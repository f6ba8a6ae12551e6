"""Ours, as a side of bench/train.py: `blogtwin finetune` without its reading and writing of folders.

python train_ours.py JOB.json
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from blogtwin.config import TrainingSettings
from blogtwin.progress import Silent, Task
from blogtwin.training import examples, models
from blogtwin.training.base import Lesson, TrainJob
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.hardware import detect_hardware_platform
from blogtwin.training.rows import tokenized
from blogtwin.training.schedule import Schedule
from blogtwin.training.tokenizer import load
from blogtwin.training.transformers import Transformers
from train_clock import Clock, job


class _Timed(Silent):
    """The bar of the training, advanced once a step, is the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield self

    def advance(self, amount: float = 1, **figures: str) -> None:
        if "loss" in figures:
            self.clock.step(0, float(figures["loss"]))


def main() -> None:
    given = job()
    settings = TrainingSettings(
        batch_size=given["batch"], max_length=given["max_length"], learning_rate=given["rate"], epochs=1
    )
    base = models.resolve(given["base"], offline=True)
    hardware = replace(detect_hardware_platform(), platform="cpu", bf16=given["bf16"])
    if given["memory"]:
        hardware = replace(hardware, memory=round(given["memory"] * 1e9))
    learned = examples.read(Path(given["examples"]))
    room = Path(given["room"])
    room.mkdir(parents=True)
    lesson_job = TrainJob(learned, learned[:1], base, settings, "", "", room, hardware, given["threads"])
    tokenizer = load(base.folder)
    rows = tokenized(learned, tokenizer, base.template, settings.system_prompt, given["max_length"]).rows
    shortest = min(rows, key=lambda row: len(row.tokens))
    schedule = Schedule(given["steps"], max(1, round(0.05 * given["steps"])), frozenset({given["steps"]}), 3)
    checkpoints = Checkpoints(room, "bench")
    clock = Clock()
    Transformers().train(Lesson(lesson_job, tokenizer, rows, [shortest], schedule, checkpoints), _Timed(clock))
    seen = [int(entry["num_tokens"]) for entry in checkpoints.log() if "num_tokens" in entry and "loss" in entry]
    clock.steps = [(wall, spent, tokens) for (wall, spent, _), tokens in zip(clock.steps, seen, strict=True)]
    clock.tell()


if __name__ == "__main__":
    main()
