"""Learning from examples, with trl. Heavy: torch and trl are loaded with this module, so it is imported only when training
begins.

In: a Lesson of Rows. Out: checkpoints, with the log of the run. A run that goes on from a checkpoint computes what an
undisturbed one computes, bit for bit: `tests/test_finetune.py` holds it to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import datasets
from trl import SFTConfig, SFTTrainer

from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.course import OurWay, arguments, follow, quiet
from blogtwin.training.engine import Engine
from blogtwin.training.rows import IGNORED, Row


def train(lesson: Lesson, engine: Engine, progress: Progress) -> Speed:
    """As TrainingBackend.train says, by this engine."""
    quiet()
    trainer = _Trainer(
        model=engine.load(lesson.job),
        args=SFTConfig(
            **arguments(lesson, engine),
            loss_type=engine.sft_loss,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=datasets.Dataset.from_list(
            [{"input_ids": row.tokens, "labels": row.labels} for row in cast(Sequence[Row], lesson.train)]
        ),
        processing_class=lesson.tokenizer,
    )
    trainer.validation_rows = cast(Sequence[Row], lesson.validation)
    return follow(trainer, lesson, progress)


class _Trainer(OurWay, SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """trl's trainer with a validation loss that weighs every token alike."""

    validation_rows: Sequence[Row]

    def measured(self) -> dict[str, float]:
        """Mean cross-entropy of the validation answers, nats a token."""
        total, count = 0.0, 0
        size = self.args.per_device_eval_batch_size
        for first in range(0, len(self.validation_rows), size):
            rows = self.validation_rows[first : first + size]
            batch = self.data_collator([{"input_ids": row.tokens, "labels": row.labels} for row in rows])
            tokens = int((batch["labels"][:, 1:] != IGNORED).sum())
            total += float(self.model(**batch, use_cache=False).loss) * tokens
            count += tokens
        return {"eval_loss": total / count}
