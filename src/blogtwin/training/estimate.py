"""What a training run will take: time, memory and disk. Plain arithmetic over figures that others measured.

In: how much there is to compute (Work), how fast it goes here (Pace), how large base and adapter are. Out: an Estimate.
rehearsal.py measures the pace by a few real steps; arithmetic.py guesses it from a moment of matrix multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass

from blogtwin.training.schedule import Schedule

_LOOK = 0.5  # of what it costs to learn from a token, to look at one: the way forward without the way back
_CHECKPOINTS = 5  # two to go on from, the best up to each, and the one that is being written
_NUMBER = 4  # bytes; an adapter and AdamW's two averages are float32
# A weight; q8_0 shares a 16-bit scale among 32, the K mixes keep some matrices finer than their name says.
_BITS = {"f32": 32.0, "f16": 16.0, "bf16": 16.0, "q8_0": 8.5, "q6_k": 6.6, "q5_k_m": 5.8, "q4_k_m": 5.0}


@dataclass(frozen=True)
class Work:
    """train, validation: tokens of either side, the prompts' too. step: tokens of a step.

    compared: dpo and kto look at all of them once before.
    """

    train: int
    validation: int
    step: float
    schedule: Schedule
    compared: bool = False


@dataclass(frozen=True)
class Pace:
    """start: seconds before the first step. token: seconds to learn from one token. memory: bytes at the peak."""

    start: float
    token: float
    memory: int


@dataclass(frozen=True)
class Disk:
    """Bytes. download: of the base. training: checkpoints and adapter. export: the merged weights and the GGUF of a deploy."""

    download: int
    training: int
    export: int

    @property
    def total(self) -> int:
        return self.download + self.training + self.export


@dataclass(frozen=True)
class Estimate:
    """seconds: to the end. least: when it stops as early as it can. memory: bytes. basis: where the figures come from."""

    seconds: float
    least: float
    memory: int
    disk: Disk
    basis: str

    @property
    def stops_early(self) -> bool:
        """Whether an early stop would be worth telling."""
        return self.least < 0.9 * self.seconds

    @property
    def line(self) -> str:
        """All of it in one line."""
        early = f" ({duration(self.least)} if it stops early)" if self.stops_early else ""
        return (
            f"about {duration(self.seconds)}{early}, {size(self.memory)} of memory, {size(self.disk.total)} of disk; "
            f"{self.basis}"
        )


def estimate(work: Work, pace: Pace, disk: Disk, basis: str) -> Estimate:
    """The base's own loss is measured first, then steps and looks take turns.

    At the least the first look is the best, and `patience` more are without a gain.
    """
    schedule = work.schedule
    looks = sorted(schedule.validations)
    look = _LOOK * work.validation * pace.token
    before = pace.start + look + (_LOOK * (work.train + work.validation) * pace.token if work.compared else 0.0)

    def until(number: int) -> float:
        return before + looks[number] * work.step * pace.token + (number + 1) * look

    earliest = min(schedule.patience, len(looks) - 1)
    return Estimate(until(len(looks) - 1), until(earliest), pace.memory, disk, basis)


def disk_for(parameters: int, adapter: int, quantize: str, download: int) -> Disk:
    """For a base of so many parameters and an adapter of so many numbers. download: bytes of the base that are not here."""
    sixteen_bit = 2 * parameters
    checkpoints = _CHECKPOINTS * 3 * _NUMBER * adapter
    return Disk(
        download=download,
        training=checkpoints + _NUMBER * adapter,
        export=sixteen_bit + round(parameters * _BITS[quantize] / 8),
    )


def duration(seconds: float) -> str:
    """As people say it: 40 s, 12 min, 3 h 20 min, 2 days 5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(5 * round(seconds / 300), 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def size(count: int) -> str:
    """Bytes as people say them, in powers of ten: 40 MB, 4.2 GB."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6)):,} MB"
