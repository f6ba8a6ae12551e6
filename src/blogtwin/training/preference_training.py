"""Learning from what a reader preferred, with trl: dpo from pairs, kto from ratings. Heavy: imports torch and trl.

In: a Lesson of PairRows or RatedRows, whose job has a parent: the adapter to go on from, and what the method measures against
unless the settings name a reference. Out: checkpoints with their log; resumed bit for bit (tests/test_preferences.py).

DPO: Rafailov et al., 2023, arXiv:2305.18290; with the better answer learned as an example beside it, as Pang et al., 2024,
arXiv:2404.19733 (measured on 70 pairs with a model of 3.5 million at a high rate: the loss on held-out better answers rose by
0.14 nats a token without it and by 0.04 with it, at the same accuracy). But where the better answer is a draft that a reader
liked, it is no example: a twin that learns its own words grows more like itself, and less like its author (Shumailov et al.,
2024, Nature 631; docs/experiments.md). KTO: Ethayarajh et al., 2024, arXiv:2402.01306.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any, ClassVar, cast

import datasets
import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.models.utils import _ForwardRedirection

from blogtwin import adapter_folder, processes
from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.course import OurWay, configured, follow, quiet
from blogtwin.training.engine import Engine
from blogtwin.training.rows import PairRow, RatedRow

Columns = list[dict[str, Any]]  # one row a dict, in the names that trl's collators know


def train(lesson: Lesson, engine: Engine, progress: Progress) -> Speed:
    """As TrainingBackend.train says, by this engine."""
    quiet()
    trainer = _dpo(lesson, engine) if lesson.job.settings.method == "dpo" else _kto(lesson, engine)
    trainer.measure_reference(progress, lesson.job.settings.reference)
    return follow(trainer, lesson, progress)


def _dpo(lesson: Lesson, engine: Engine) -> _Dpo:
    settings = lesson.job.settings
    losses = {"sigmoid": 1.0, "sft": settings.sft_weight} if settings.sft_weight else {"sigmoid": 1.0}
    sides = [
        [
            {
                "prompt_ids": row.prompt,
                "chosen_ids": row.chosen,
                "rejected_ids": row.rejected,
                _Dpo.EXAMPLE: float(row.example),
            }
            for row in rows
        ]
        for rows in (cast(Sequence[PairRow], lesson.train), cast(Sequence[PairRow], lesson.validation))
    ]
    own = {"beta": settings.beta, "loss_type": list(losses), "loss_weights": list(losses.values())}
    trainer = _Dpo(
        model=engine.load(lesson.job),
        args=configured(DPOConfig, lesson, engine, **own),
        train_dataset=datasets.Dataset.from_list(sides[0]),
        processing_class=lesson.tokenizer,
    )
    trainer.rows, trainer.validation_rows = sides
    trainer.sft_weight = settings.sft_weight
    trainer.data_collator = _marking(trainer.data_collator)
    return trainer


def _marking(collate: Callable[[Columns], dict[str, Any]]) -> Callable[[Columns], dict[str, Any]]:
    """trl's collator, which passes on whether a row is an example."""

    def marked(rows: Columns) -> dict[str, Any]:
        return {**collate(rows), _Dpo.EXAMPLE: torch.tensor([row[_Dpo.EXAMPLE] for row in rows])}

    return marked


def _kto(lesson: Lesson, engine: Engine) -> _Kto:
    settings = lesson.job.settings
    sides = [
        _mismatched(cast(Sequence[RatedRow], rows), settings.batch_size, settings.seed)
        for rows in (lesson.train, lesson.validation)
    ]
    # In one order: the pairs for the KL term were made in it.
    args = configured(KTOConfig, lesson, engine, beta=settings.beta, train_sampling_strategy="sequential")
    args.per_device_train_batch_size = (
        2  # for a moment: trl refuses one row at a time, of which it would take the KL term
    )
    trainer = _Kto(
        model=engine.load(lesson.job),
        args=args,
        train_dataset=datasets.Dataset.from_list(sides[0]),
        processing_class=lesson.tokenizer,
    )
    args.per_device_train_batch_size = trainer._train_batch_size = 1
    trainer.rows, trainer.validation_rows = sides
    trainer.batch_size = settings.batch_size
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
    told: ClassVar[dict[str, str]]  # what is measured of a row, by trl's name for it
    rows: Columns
    validation_rows: Columns
    batch_size = 1  # rows that are measured together

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def measure_reference(self: Any, progress: Progress, reference: Path | None) -> None:
        """Write the log-probabilities that the reference gives each answer into the rows; None: the parent."""
        if reference:
            set_peft_model_state_dict(self.model, load_file(reference / adapter_folder.WEIGHTS), adapter_name="ref")
        # trl's way to log-probabilities without the whole vocabulary's logits in memory; it is bound to the name of a
        # library of GPU kernels, but is plain torch. Under the wrapper that several processes share, it needs the second line.
        self.use_liger_kernel = True
        self._forward_redirection = _ForwardRedirection()
        rows = [*self.rows, *self.validation_rows]
        there = next(self.model.parameters()).device  # with FSDP it has not been shared out to the GPUs yet
        mine = range(processes.rank(), len(rows), processes.count())
        found: dict[int, list[float]] = {}
        with progress.task("Measuring the twin so far", len(mine), "answers") as task, self.accelerator.autocast():
            for number in mine:
                inputs = {name: value.to(there) for name, value in self.data_collator([rows[number]]).items()}
                found[number] = [values.item() for values in self.compute_ref_log_probs(self.model, inputs)]
                task.advance()
        for part in processes.gathered(found):
            for number, values in part.items():
                rows[number].update(zip(self.reference, values, strict=True))
        self.model.delete_adapter("ref")
        self.precompute_ref_logps = True
        self.train_dataset = datasets.Dataset.from_list(self.rows)

    def get_batch_samples(self: Any, *given: Any) -> Any:
        """A step's rows, weighed: the mean is over all of them, and those that are only there to fill up count for nothing."""
        batches, count = super().get_batch_samples(*given)  # type: ignore[misc]
        spare = self.spare(batches)
        if processes.count() > 1:
            share = [0.0 if one else 1.0 for one in spare]
            weight = len(share) * processes.count() / sum(processes.gathered(sum(share)))
            for batch, one in zip(batches, share, strict=True):
                batch["weight"] = torch.tensor(one * weight, device=self.args.device)
        self.relate(batches, spare, processes.gathered)
        return batches, count

    def relate(self, batches: list[Any], spare: Sequence[bool], gathered: Callable[[Any], list[Any]]) -> None:
        """Give each of a step's rows what its loss takes from the others, those of other processes too (`gathered`)."""

    def compute_loss(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        """One row's part of the mean."""
        weight = inputs.pop("weight", None)
        loss = super().compute_loss(model, inputs, *given, **named)  # type: ignore[misc]
        return loss if weight is None else loss * weight

    def measured(self: Any) -> dict[str, float]:
        """Means over the validation rows."""
        found: dict[str, list[float]] = {"loss": [], **{name: [] for name in self.told}}
        with _alone(self.accelerator):
            for rows in self.my_part(_batches(self.validation_rows, self.batch_size)):
                batches = [self._prepare_inputs(self.data_collator([row])) for row in rows]
                self.relate(batches, [False] * len(batches), lambda own: [own])
                for batch in batches:
                    found["loss"].append(float(self.compute_loss(self.model, batch)))
                    for name, trls in self.told.items():
                        found[name] += self._metrics["eval"].get(trls, [])
                    self._metrics["eval"].clear()
        means = {name: self.mean(sum(values), len(values)) for name, values in found.items()}
        figures: dict[str, float] = self.figures(means)
        return figures

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        """For the log. means: of `loss` and of what is `told`."""
        return {f"eval_{name}": value for name, value in means.items()}


@contextmanager
def _alone(accelerator: Any) -> Iterator[None]:
    """Let a process measure rows of its own: trl would wait for the others' figures at each."""
    accelerator.gather = accelerator.gather_for_metrics = lambda value: value
    try:
        yield
    finally:
        del accelerator.gather, accelerator.gather_for_metrics


class _Dpo(_AgainstParent, DPOTrainer):  # type: ignore[misc]  # trl ships no types
    """Pairs, one at a time, so that trl's weight of the loss on the better answer can be each one's own."""

    EXAMPLE: ClassVar = "example"  # the name of the column
    sft_weight: float
    reference = ("ref_chosen_logps", "ref_rejected_logps")
    told: ClassVar = {"accuracy": "rewards/accuracies", "margin": "rewards/margins"}

    def _set_signature_columns_if_needed(self: Any) -> None:
        super()._set_signature_columns_if_needed()
        if self.EXAMPLE not in self._signature_columns:
            self._signature_columns.append(self.EXAMPLE)

    def compute_loss(self: Any, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        """One pair's part of the mean."""
        (example,) = inputs.pop(self.EXAMPLE).tolist()
        if self.sft_weight:
            self.loss_weights[-1] = self.sft_weight * example
        return super().compute_loss(model, inputs, *given, **named)


class _Kto(_AgainstParent, KTOTrainer):  # type: ignore[misc]  # trl ships no types
    """Ratings, one at a time.

    The loss of a rating takes one number from the others of its batch, the KL term, through which no gradient flows. So it is
    taken from all of them first, and then each is learned from by itself, with no other row beside it in memory.
    """

    reference = ("ref_logps", "ref_KL_logps")
    told: ClassVar = {"good": "rewards/chosen", "bad": "rewards/rejected"}

    def relate(self: Any, batches: list[Any], spare: Sequence[bool], gathered: Callable[[Any], list[Any]]) -> None:
        """Measure the KL term, and leave it where trl's loss looks for the one of its row."""
        model, measure = self.accelerator.unwrap_model(self.model), super()._compute_kl_logps
        moved = 0.0
        for batch, idle in zip(batches, spare, strict=True):
            if self.is_fsdp_enabled:  # trl's way to let all processes bring their parts of the weights
                now = self._forward_redirection(self.model, model, measure, model, batch)
            else:
                now = measure(model, batch)
            moved += 0.0 if idle else (now - batch["ref_KL_logps"]).item()
        parts = gathered((moved, len(spare) - sum(spare)))
        mean = sum(moved for moved, _ in parts) / sum(rows for _, rows in parts)
        for batch in batches:
            batch["ref_KL_logps"] = torch.full_like(batch["ref_KL_logps"], -mean)

    def _compute_kl_logps(self, model: Any, batch: Any) -> Any:
        """trl takes the KL term as this less `ref_KL_logps`."""
        return torch.zeros_like(batch["ref_KL_logps"])

    def figures(self, means: dict[str, float]) -> dict[str, float]:
        """The loss; where there are good and bad answers, the mean reward of the good ones less that of the bad ones."""
        margin = means["good"] - means["bad"]
        return {"eval_loss": means["loss"], **({} if isnan(margin) else {"eval_margin": margin})}
