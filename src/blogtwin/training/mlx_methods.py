"""What a step makes small, by method, in MLX: sft from examples, dpo from pairs, kto from ratings. Heavy, as mlx_model is.

In: a Lesson, and a model. Out: the losses of one batch, and what is measured on the validation rows. Everything is a function of
the rows, the seed and the step, so nothing of it has to be kept to go on after a kill.

DPO: Rafailov et al., 2023, arXiv:2305.18290; with the better answer learned as an example beside it, as Pang et al., 2024,
arXiv:2404.19733. KTO: Ethayarajh et al., 2024, arXiv:2402.01306.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import mlx.core as mx

from blogtwin.progress import Progress
from blogtwin.training.base import Lesson
from blogtwin.training.mlx_loss import log_probability
from blogtwin.training.rows import PairRow, RatedRow, Row

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """losses: each a function of the model; their sum is what one step makes smaller. tokens: in all its rows."""

    losses: Sequence[Callable[[Any], Any]]
    tokens: int


class Method(Protocol):
    """One way to learn."""

    def prepare(self, model: Any, progress: Progress) -> None:
        """Take from the model at its start what the losses are measured against."""

    def batch(self, model: Any, step: int) -> Batch:
        """What this step, counted from 0, learns from."""

    def measured(self, model: Any) -> dict[str, float]:
        """eval_loss, and what else the method has to tell of the validation rows."""


def method_of(lesson: Lesson) -> Method:
    """The method that the settings ask for."""
    methods: dict[str, type[Method]] = {"sft": Supervised, "dpo": Paired, "kto": Rated}
    return cast(Callable[[Lesson], Method], methods[lesson.job.settings.method])(lesson)


def batch(rows: Sequence[T], size: int, step: int, seed: int) -> list[T]:
    """The rows of one step. Each epoch shows every row once, in an order of its own; its last batch may be smaller."""
    an_epoch = -(-len(rows) // size)
    epoch, place = divmod(step, an_epoch)
    order = random.Random(f"{seed} {epoch}").sample(range(len(rows)), len(rows))
    return [rows[number] for number in order[place * size : (place + 1) * size]]


class Supervised:
    """The mean cross-entropy of a batch's answers, every token weighed alike, in nats."""

    def __init__(self, lesson: Lesson) -> None:
        self.settings = lesson.job.settings
        self.rows = cast(Sequence[Row], lesson.train)
        self.held_out = cast(Sequence[Row], lesson.validation)

    def prepare(self, model: Any, progress: Progress) -> None:
        """Nothing: examples are measured against nothing."""

    def batch(self, model: Any, step: int) -> Batch:
        """As Method says."""
        rows = batch(self.rows, self.settings.batch_size, step, self.settings.seed)
        answers = sum(_answered(row) for row in rows)
        losses = [partial(_cross_entropy, row=row, tokens=answers) for row in rows]
        return Batch(losses, sum(len(row.tokens) for row in rows))

    def measured(self, model: Any) -> dict[str, float]:
        """As Method says."""
        total = sum(_measure(model, row) for row in self.held_out)
        return {"eval_loss": -total / sum(_answered(row) for row in self.held_out)}


@dataclass(frozen=True)
class _Pair:
    """chosen, rejected: the prompt with either answer. before: what the reference thinks of each, Σ log p.

    example: as of PairRow.
    """

    chosen: Row
    rejected: Row
    example: bool
    before: tuple[float, float] = (0.0, 0.0)


class Paired:
    """-log σ(β·margin) of each pair, and the mean cross-entropy of a better answer that is an example; the mean over the batch.

    margin: how much more likely the better answer is than with the reference, less the same of the worse one, in nats.
    """

    def __init__(self, lesson: Lesson) -> None:
        self.settings = lesson.job.settings
        sides = (cast(Sequence[PairRow], rows) for rows in (lesson.train, lesson.validation))
        self.rows, self.held_out = (
            [_Pair(_row(pair.prompt, pair.chosen), _row(pair.prompt, pair.rejected), pair.example) for pair in side]
            for side in sides
        )

    def prepare(self, model: Any, progress: Progress) -> None:
        """Measure every answer with the model as it is now: the reference."""
        with progress.task("Measuring the twin so far", len(self.rows) + len(self.held_out), "pairs") as task:
            for side in (self.rows, self.held_out):
                for number, pair in enumerate(side):
                    side[number] = replace(pair, before=(_measure(model, pair.chosen), _measure(model, pair.rejected)))
                    task.advance()

    def batch(self, model: Any, step: int) -> Batch:
        """As Method says."""
        pairs = batch(self.rows, self.settings.batch_size, step, self.settings.seed)
        losses = [partial(self._loss, pair=pair, share=1 / len(pairs)) for pair in pairs]
        return Batch(losses, sum(len(pair.chosen.tokens) + len(pair.rejected.tokens) for pair in pairs))

    def measured(self, model: Any) -> dict[str, float]:
        """The loss; the mean margin of rewards; the share of pairs whose better answer has the higher reward."""
        told = []
        for pair in self.held_out:
            now = _measure(model, pair.chosen), _measure(model, pair.rejected)
            told.append((self._value(pair, *map(mx.array, now)).item(), self._margin(pair, *now)))
        return {
            "eval_loss": sum(loss for loss, _ in told) / len(told),
            "eval_accuracy": sum(margin > 0 for _, margin in told) / len(told),
            "eval_margin": sum(margin for _, margin in told) / len(told),
        }

    def _loss(self, model: Any, pair: _Pair, share: float) -> Any:
        return share * self._value(pair, log_probability(model, pair.chosen), log_probability(model, pair.rejected))

    def _value(self, pair: _Pair, chosen: Any, rejected: Any) -> Any:
        preferred = mx.logaddexp(0.0, -self._margin(pair, chosen, rejected))
        learned = -chosen / _answered(pair.chosen)
        return preferred + self.settings.sft_weight * learned if pair.example else preferred

    def _margin(self, pair: _Pair, chosen: Any, rejected: Any) -> Any:
        return self.settings.beta * ((chosen - pair.before[0]) - (rejected - pair.before[1]))


@dataclass(frozen=True)
class _Rating:
    """answer: the prompt with an answer. other: with its neighbour's answer. before: what the reference thinks of each."""

    answer: Row
    other: Row
    good: bool
    before: tuple[float, float] = (0.0, 0.0)


class Rated:
    """1 - σ(±(reward - β·z)) of each rated answer, + for good ones; the mean over the batch.

    z: how far the model has moved from the reference, estimated over the batch from answers to other prompts, never below 0,
    and held fixed. The batches are those of every epoch, because these mismatched answers are measured before the first.
    """

    def __init__(self, lesson: Lesson) -> None:
        self.settings = lesson.job.settings
        sides = (cast(Sequence[RatedRow], rows) for rows in (lesson.train, lesson.validation))
        self.batches, self.held_out = (self._mismatched(side) for side in sides)

    def _mismatched(self, rows: Sequence[RatedRow]) -> list[list[_Rating]]:
        size = self.settings.batch_size
        mixed = random.Random(self.settings.seed).sample(list(rows), len(rows))
        return [
            [
                _Rating(_row(row.prompt, row.completion), _row(row.prompt, group[place - 1].completion), row.label)
                for place, row in enumerate(group)
            ]
            for group in (mixed[first : first + size] for first in range(0, len(mixed), size))
        ]

    def prepare(self, model: Any, progress: Progress) -> None:
        """Measure every answer with the model as it is now: the reference."""
        batches = [*self.batches, *self.held_out]
        with progress.task("Measuring the twin so far", len(batches), "batches") as task:
            for group in batches:
                group[:] = [
                    replace(one, before=(_measure(model, one.answer), _measure(model, one.other))) for one in group
                ]
                task.advance()

    def batch(self, model: Any, step: int) -> Batch:
        """As Method says."""
        group = self.batches[step % len(self.batches)]
        moved = _moved(model, group)
        losses = [partial(self._loss, one=one, moved=moved, share=1 / len(group)) for one in group]
        return Batch(losses, sum(len(one.answer.tokens) + len(one.other.tokens) for one in group))

    def measured(self, model: Any) -> dict[str, float]:
        """The loss; where there are good and bad answers, the mean reward of the good ones less that of the bad ones."""
        losses: list[float] = []
        rewards: dict[bool, list[float]] = {True: [], False: []}
        for group in self.held_out:
            moved = _moved(model, group)
            for one in group:
                gain = _measure(model, one.answer) - one.before[0]
                losses.append(self._value(one, mx.array(gain), moved).item())
                rewards[one.good].append(self.settings.beta * gain)
        told = {"eval_loss": sum(losses) / len(losses)}
        if all(rewards.values()):
            good, bad = (sum(values) / len(values) for values in (rewards[True], rewards[False]))
            told["eval_margin"] = good - bad
        return told

    def _loss(self, model: Any, one: _Rating, moved: float, share: float) -> Any:
        return share * self._value(one, log_probability(model, one.answer) - one.before[0], moved)

    def _value(self, one: _Rating, gain: Any, moved: float) -> Any:
        return mx.sigmoid((-1.0 if one.good else 1.0) * self.settings.beta * (gain - moved))


def _moved(model: Any, group: Sequence[_Rating]) -> float:
    """z of a batch, in nats."""
    return max(0.0, sum(_measure(model, one.other) - one.before[1] for one in group) / len(group))


def _cross_entropy(model: Any, row: Row, tokens: int) -> Any:
    return -log_probability(model, row) / tokens


def _measure(model: Any, row: Row) -> float:
    return float(log_probability(model, row, learns=False))


def _row(prompt: list[int], answer: list[int]) -> Row:
    return Row(prompt + answer, len(prompt))


def _answered(row: Row) -> int:
    return len(row.tokens) - row.prompt
