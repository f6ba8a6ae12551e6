"""What a training backend is: it turns rows of tokens into checkpoints, and nothing else.

What every backend does alike stands in run.py: reading and cutting rows, the schedule, which checkpoint to go on from,
the card, the log, the figures. Merging is no part of it either: each backend leaves a PEFT adapter, so the export room
merges them all in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from blogtwin.config import TrainingSettings
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Example
from blogtwin.training.checkpoints import Checkpoints
from blogtwin.training.hardware import Hardware
from blogtwin.training.models import Base
from blogtwin.training.preferences import Pair, Rating
from blogtwin.training.rows import AnyRow
from blogtwin.training.schedule import Schedule


@dataclass(frozen=True)
class TrainJob:
    """train, validation: what the method learns from (Examples, Pairs, Ratings), no post or prompt on both sides.

    base: the resolved base model. settings: as they take effect. data_hash, settings_hash: what the adapter's card will say
    it was made from.
    output: the adapter folder; unfinished work is kept below it, so that a killed run goes on. threads: None for all cores.
    parent: the adapter folder to go on from, one on this very base; None: a new adapter. parent_hash: of its weights.
    """

    train: Sequence[Example | Pair | Rating]
    validation: Sequence[Example] | Sequence[Pair] | Sequence[Rating]
    base: Base
    settings: TrainingSettings
    data_hash: str
    settings_hash: str
    output: Path
    hardware: Hardware
    threads: int | None = None
    parent: Path | None = None
    parent_hash: str | None = None
    replayed: int = 0


@dataclass(frozen=True)
class Lesson:
    """What a backend is given: the job, and what run.py made of it.

    tokenizer: transformers' own, of the base. train, validation: rows, cut to length, in the records' order: Rows for
    sft, PairRows for dpo, RatedRows for kto.
    schedule: how many steps, when to validate, when it is over. checkpoints: where they go, and which to go on from.
    """

    job: TrainJob
    tokenizer: Any
    train: Sequence[AnyRow]
    validation: Sequence[AnyRow]
    schedule: Schedule
    checkpoints: Checkpoints


@dataclass(frozen=True)
class Memory:
    """Bytes. needed: at the peak. available: of the memory that the training takes it from; 0 when that is unknown."""

    needed: int
    available: int


@dataclass(frozen=True)
class Speed:
    """seconds: spent on training steps. tokens: seen in them, padding left out."""

    seconds: float
    tokens: int


@dataclass(frozen=True)
class Trained:
    """What a run did. card: also in the folder. figures: counts for people, by name. notes: remarks for people."""

    card: AdapterCard
    figures: dict[str, float]
    notes: tuple[str, ...]


class TrainingBackend(Protocol):
    """A way to train on some hardware.

    name: as `--backend` and the errors have it. libraries: the packages whose versions decide what it computes; they
    go into the card and into the fingerprint by which checkpoints are known again.
    """

    name: str
    libraries: tuple[str, ...]

    def unavailable(self, hardware: Hardware) -> str | None:
        """Why this backend cannot train here, and the command that mends it; None when it can."""

    def choices(self, job: TrainJob) -> Mapping[str, object]:
        """What it decides by itself and what changes the weights (precision, quantization), by name: for the fingerprint."""

    def memory(self, job: TrainJob) -> Memory:
        """What this job takes, as far as it can be known before the first step."""

    def train(self, lesson: Lesson, progress: Progress) -> Speed:
        """Train from `lesson.checkpoints.latest()`, or from the start where there is none, until the schedule is over.

        The start is a new LoRA adapter on every linear layer but the output, or `job.parent`, whose rank it keeps; dpo
        and kto measure against `job.settings.reference`, or the parent as it was. It must leave:
        - a log, whose first entry is {"step": 0, "eval_loss": …}, the loss on the validation rows before any training;
          then one {"step", "loss", "learning_rate", "grad_norm", "epoch"} a step, and {"step", "eval_loss"} at each of
          `schedule.validations`. For sft, losses are means over the tokens of the answers, nats a token; for dpo and kto
          the method's own, with eval_margin (mean reward of the better answers less that of the worse) and, for dpo,
          eval_accuracy (share of pairs whose better answer has the higher reward) beside eval_loss.
        - after each validation a checkpoint in `checkpoints.at(step)`: adapter_model.safetensors and
          adapter_config.json in PEFT's layout (also when the library has another of its own), trainer_state.json with
          {"log_history": the log so far}, and whatever it needs to go on; then `checkpoints.done(step, log)`, which
          vouches for the folder and removes those that are no longer needed. More checkpoints in between are welcome.
        It ends when `schedule.is_over(log)`, and calls `curve.check(entry, settings.learning_rate)` on each entry,
        which raises ModelError when the numbers are none. Going on from a checkpoint must compute what an undisturbed
        run computes.
        The bar: `progress.task("Training", steps left, "steps")`, advanced a step at a time.
        Raises ModelError for a base that does not load and OSError as it comes (run.py names the folder).
        """
