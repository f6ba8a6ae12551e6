"""Learning from examples, with trl. Heavy: torch and trl are loaded with this module, so it is imported only when training
begins.

In: a Lesson of Rows. Out: checkpoints, with the log of the run. A run that goes on from a checkpoint computes what an
undisturbed one computes, bit for bit: `tests/test_finetune.py` holds it to that. Several processes compute what one does, to the
rounding of sums that are taken in another order: `tests/test_distributed.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import datasets
import transformers
from trl import SFTConfig, SFTTrainer

from blogtwin.progress import Progress
from blogtwin.training import answer_loss, lora_product
from blogtwin.training.base import Lesson, Speed
from blogtwin.training.course import OurWay, configured, follow, quiet
from blogtwin.training.engine import Engine
from blogtwin.training.rows import IGNORED, Row


def train(lesson: Lesson, engine: Engine, progress: Progress) -> Speed:
    """As TrainingBackend.train says, by this engine."""
    quiet()
    model, own = engine.load(lesson.job), dict[str, Any]()
    if engine.lean:
        answer_loss.install(model.get_base_model())
        lora_product.install(model, engine.widened)
        kept = lora_product.wide_products_too if engine.widened else lora_product.worth_keeping
        own["gradient_checkpointing_kwargs"] = {"use_reentrant": False, "context_fn": kept}
    trainer = _Trainer(
        model=model,
        args=configured(
            SFTConfig, lesson, engine, loss_type=engine.sft_loss, dataset_kwargs={"skip_prepare_dataset": True}, **own
        ),
        train_dataset=datasets.Dataset.from_list(
            [{"input_ids": row.tokens, "labels": row.labels} for row in cast(Sequence[Row], lesson.train)]
        ),
        processing_class=lesson.tokenizer,
    )
    trainer.validation_rows = cast(Sequence[Row], lesson.validation)
    trainer.lean = engine.lean
    return follow(trainer, lesson, progress)


class _Trainer(OurWay, SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """trl's trainer with a validation loss that weighs every token alike."""

    validation_rows: Sequence[Row]
    lean: bool

    def compute_loss(
        self: Any, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """transformers' loss; trl's goes over all logits again for entropy and accuracy, which nobody looks at."""
        if not self.lean:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        tokens = self.accelerator.gather_for_metrics(inputs["attention_mask"].sum())
        self._total_train_tokens += int(tokens.sum())
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return transformers.Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    def measured(self) -> dict[str, float]:
        """Mean cross-entropy of the validation answers, nats a token."""
        total, count = 0.0, 0
        for row in self.my_part(self.validation_rows):
            batch = self._prepare_inputs(self.data_collator([{"input_ids": row.tokens, "labels": row.labels}]))
            tokens = int((batch["labels"][:, 1:] != IGNORED).sum())
            total += float(self.model(**batch, use_cache=False).loss) * tokens
            count += tokens
        return {"eval_loss": self.mean(total, count)}

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: Any) -> Any:
        """The tokens that a step learns from, over all processes."""
        for batch, spare in zip(batch_samples, self.spare(batch_samples), strict=True):
            if spare:
                batch["labels"].fill_(IGNORED)
        return super()._get_num_items_in_batch(batch_samples, device)
