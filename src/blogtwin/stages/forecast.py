"""What a training run will take, guessed before its first step from the sizes of things and a moment of arithmetic.

In: a TrainJob. Out: an Estimate. `finetune` says it in one line; `finetune --dry-run` does when the base is not here, and else
measures (rehearsal.py).
"""

from __future__ import annotations

from blogtwin.config import Settings
from blogtwin.records import Example
from blogtwin.training import arithmetic, sizes
from blogtwin.training.base import TrainingBackend, TrainJob
from blogtwin.training.estimate import Disk, Estimate, Pace, Work, disk_for, estimate
from blogtwin.training.preferences import Pair, Rating
from blogtwin.training.schedule import MOST_VALIDATION_ROWS, Schedule

_GUESSED = "a guess from how fast this machine multiplies now"


def forecast(job: TrainJob, backend: TrainingBackend, settings: Settings, download: int = 0) -> Estimate:
    """From a second of arithmetic, good to a factor of about three. download: bytes of the base that are not here."""
    train = [_tokens(record, job) for record in job.train]
    held = [_tokens(record, job) for record in job.validation][:MOST_VALIDATION_ROWS]
    return total(job, arithmetic.pace(job, backend), train, held, settings, _GUESSED, download)


def total(
    job: TrainJob, pace: Pace, train: list[int], held: list[int], settings: Settings, basis: str, download: int = 0
) -> Estimate:
    """The estimate for a run over rows of so many tokens each, at this pace."""
    chosen = job.settings
    schedule = Schedule.plan(len(train), chosen)
    step = sum(train) / len(train) * min(chosen.batch_size, len(train))
    work = Work(sum(train), sum(held), step, schedule, compared=chosen.method != "sft")
    return estimate(work, pace, _disk(job, settings, download), basis)


def _disk(job: TrainJob, settings: Settings, download: int) -> Disk:
    parameters = job.base.parameters
    adapter = sizes.adapter_parameters(parameters, job.settings.lora_r)
    return disk_for(parameters, adapter, settings.deployment.quantize, download)


def _tokens(record: object, job: TrainJob) -> int:
    """Of the rows that a record becomes, about, with what the template and the system prompt add."""
    limit = job.settings.max_length
    if isinstance(record, Example):
        texts: tuple[str, ...] = (record.instruction, record.input, record.output)
        if job.settings.method == "dpo":  # mixed in as a pair whose answers are the same
            return 2 * _length(texts, job, limit)
    elif isinstance(record, Pair):
        return sum(_length((record.prompt, answer), job, limit) for answer in (record.chosen, record.rejected))
    else:
        assert isinstance(record, Rating)
        texts = (record.prompt, record.completion)
    return _length(texts, job, limit)


def _length(texts: tuple[str, ...], job: TrainJob, limit: int) -> int:
    return min(limit, sum(map(sizes.tokens_in, (*texts, job.settings.system_prompt))) + 20)
