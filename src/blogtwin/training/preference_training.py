"""Learning from what a reader preferred, with trl: dpo from pairs, kto from ratings. Heavy: imports torch and trl.

In: a Lesson of PairRows or RatedRows, whose job has a parent: the adapter to go on from, which is also what the method
measures against. Out: checkpoints, with the log of the run; resumed bit for bit (`tests/test_preferences.py`).

DPO: Rafailov et al., 2023, arXiv:2305.18290; with the better answer learned as an example beside it, as Pang et al., 2024,
arXiv:2404.19733 (measured on 70 pairs with a model of 3.5 million at a high rate: the loss on held-out better answers rose by
0.14 nats a token without it and by 0.04 with it, at the same accuracy). KTO: Ethayarajh et al., 2024, arXiv:2402.01306.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import datasets
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.course import OurWay, arguments, follow, quiet
from blogtwin.training.engine import Engine
from blogtwin.training.rows import PairRow, RatedRow

Columns = list[dict[str, Any]]  # one row a dict, in the names that trl's collators know


def train(lesson: Lesson, engine: Engine, progress: Progress) -> Speed:
    """As TrainingBackend.train says, by this engine."""
    quiet()
    trainer = _dpo(lesson, engine) if lesson.job.settings.method == "dpo" else _kto(lesson, engine)
    trainer.measure_reference(progress)
    return follow(trainer, lesson, progress)


def _dpo(lesson: Lesson, engine: Engine) -> _Dpo:
    settings = lesson.job.settings
    losses = {"sigmoid": 1.0, "sft": settings.sft_weight} if settings.sft_weight else {"sigmoid": 1.0}
    sides = [
        [{"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected} for row in rows]
        for rows in (cast(Sequence[PairRow], lesson.train), cast(Sequence[PairRow], lesson.validation))
    ]
    trainer = _Dpo(
        model=engine.load(lesson.job),
        args=DPOConfig(
            **arguments(lesson, engine),
            beta=settings.beta,
            loss_type=list(losses),
            loss_weights=list(losses.values()),
        ),
        train_dataset=datasets.Dataset.from_list(sides[0]),
        processing_class=lesson.tokenizer,
    )
    trainer.rows, trainer.validation_rows = sides
    return trainer


def _kto(lesson: Lesson, engine: Engine) -> _Kto:
    settings = lesson.job.settings
    sides = [
        _mismatched(cast(Sequence[RatedRow], rows), settings.batch_size, settings.seed)
        for rows in (lesson.train, lesson.validation)
    ]
    # A batch is computed at once: the KL term is taken over it. And in one order: that term's pairs were made in it.
    whole = {"per_device_train_batch_size": settings.batch_size, "gradient_accumulation_steps": 1}
    trainer = _Kto(
        model=engine.load(lesson.job),
        args=KTOConfig(**arguments(lesson, engine) | whole, beta=settings.beta, train_sampling_strategy="sequential"),
        train_dataset=datasets.Dataset.from_list(sides[0]),
        processing_class=lesson.tokenizer,
    )
    trainer.rows, trainer.validation_rows = sides
    return trainer


def _mismatched(rows: Sequence[RatedRow], batch_size: int, seed: int) -> Columns:
    """Shuffled rows, each with the answer of its neighbour in the batch: KTO's estimate of the KL term (section 4.1)."""
    shuffled = random.Random(seed).sample(list(rows), len(rows))
    columns: Columns = []
    for batch in _batches(shuffled, batch_size):
        for place, row in enumerate(batch):
            other = batch[place - 1].completion
            columns.append(
                {
                    "prompt_ids": row.prompt,
                    "completion_ids": row.completion,
                    "KL_completion_ids": other,
                    "label": row.label,
                }
            )
    return columns


def _batches(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]


class _AgainstParent(OurWay):
    """Mixed into trl's trainers for preferences: rows are tokenized already, and the reference is measured once.

    trl computes the reference's log-probabilities anew at every step, with a frozen copy of the adapter that goes into each
    checkpoint too (where transformers 5.17 then fails to find the adapter that is trained). They never change, so they
    are taken before the first step, and the copy is let go: a third less to compute from the second epoch on.
    """

    reference: ClassVar[tuple[str, str]]  # names of the columns with the reference's log-probabilities
    rows: Columns
    validation_rows: Columns

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def measure_reference(self: Any, progress: Progress) -> None:
        """Write the log-probabilities that the parent gives each answer into the rows."""
        # trl's way to log-probabilities without the whole vocabulary's logits in memory; it is bound to the name of a
        # library of GPU kernels, but is plain torch.
        self.use_liger_kernel = True
        size = self.args.per_device_train_batch_size
        batches = [*_batches(self.rows, size), *_batches(self.validation_rows, size)]
        with progress.task("Measuring the twin so far", len(batches), "batches") as task:
            for batch in batches:
                measured = self.compute_ref_log_probs(self.model, self.data_collator(batch))
                for name, values in zip(self.reference, measured, strict=True):
                    for row, value in zip(batch, values.tolist(), strict=True):
                        row[name] = value
                task.advance()
        self.model.delete_adapter("ref")
        self.precompute_ref_logps = True
        self.train_dataset = datasets.Dataset.from_list(self.rows)

    def measured(self: Any) -> dict[str, float]:
        """Means over the validation rows, each batch weighed by its rows."""
        found: dict[str, list[tuple[float, int]]] = {}
        for batch in _batches(self.validation_rows, self.args.per_device_train_batch_size):
            loss = float(self.compute_loss(self.model, self.data_collator(batch)))
            told = self._metrics["eval"]
            names = {"eval_accuracy": "rewards/accuracies", "eval_margin": "rewards/margins"}
            figures = {ours: told[trls][-1] for ours, trls in names.items() if trls in told}
            for name, value in {"eval_loss": loss, **figures}.items():
                found.setdefault(name, []).append((value, len(batch)))
            told.clear()
        return {
            name: sum(value * count for value, count in values) / sum(count for _, count in values)
            for name, values in found.items()
        }


class _Dpo(_AgainstParent, DPOTrainer):  # type: ignore[misc]  # trl ships no types
    """Pairs."""

    reference = ("ref_chosen_logps", "ref_rejected_logps")


class _Kto(_AgainstParent, KTOTrainer):  # type: ignore[misc]  # trl ships no types
    """Ratings."""

    reference = ("ref_logps", "ref_KL_logps")
