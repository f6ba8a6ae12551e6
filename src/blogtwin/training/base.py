"""What a training backend is: one job in, one adapter out.

Merging is no part of this protocol. Every backend leaves the same thing, a PEFT adapter folder, so the export
room merges them all in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blogtwin.config import TrainingSettings
from blogtwin.progress import Progress
from blogtwin.records import AdapterCard, Example
from blogtwin.training.hardware import Hardware
from blogtwin.training.models import Base


@dataclass(frozen=True)
class TrainJob:
    """train, validation: examples, no post on both sides. base: the resolved base model.

    settings: as they take effect. data_hash, settings_hash: what the adapter's card will say it was made from.
    output: the adapter folder; unfinished work is kept below it, so that a killed run goes on. threads: None for all cores.
    """

    train: Sequence[Example]
    validation: Sequence[Example]
    base: Base
    settings: TrainingSettings
    data_hash: str
    settings_hash: str
    output: Path
    hardware: Hardware
    threads: int | None = None


@dataclass(frozen=True)
class Trained:
    """What a backend did. card: also in the folder. figures: counts for people, by name. notes: remarks for people."""

    card: AdapterCard
    figures: dict[str, float]
    notes: tuple[str, ...]


class TrainingBackend(Protocol):
    """A way to train on some hardware."""

    name: str

    def unavailable(self, hardware: Hardware) -> str | None:
        """Why this backend cannot train here, and the command that mends it; None when it can."""

    def train(self, job: TrainJob, progress: Progress) -> Trained:
        """Train, and leave a complete adapter folder at `job.output`; until then what was there stays usable.

        A run that was killed goes on from its last checkpoint and ends with the same bytes.
        Raises ModelError for a base that does not load, NothingUsable when no example fits, OutputError.
        """
