"""A few real steps of a training run, thrown away: how fast it goes here, and how much memory it takes.

In: a Lesson, as the run itself would have it, and a backend. Out: a Pace. What is written goes to a folder of the caller's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from blogtwin.progress import Progress, Task
from blogtwin.training.base import Lesson, TrainingBackend
from blogtwin.training.estimate import Pace
from blogtwin.training.rows import AnyRow, PairRow, RatedRow
from blogtwin.training.schedule import Schedule

_STEPS = 3  # the first is not counted: memory is handed out in it, and GPU kernels compiled
_SECONDS = 2.0  # a fast machine takes more steps, up to _MOST
_MOST = 20
_PATIENCE = 60.0  # seconds, after which one step has to do
_LARGE = 100_000_000  # parameters; from there on two rows make a step
_LOOK = 0.5  # what looking at a row costs beside learning from it


class _Enough(BaseException):
    """The steps are taken. No library between here and the loop may take it for a fault of its own."""


def tokens(row: AnyRow) -> int:
    """Of a row, as often as it has to be read with each of its answers."""
    if isinstance(row, PairRow):
        return 2 * len(row.prompt) + len(row.chosen) + len(row.rejected)
    if isinstance(row, RatedRow):
        return len(row.prompt) + len(row.completion)
    return len(row.tokens)


def rehearse(lesson: Lesson, backend: TrainingBackend, progress: Progress) -> Pace:
    """Take a few steps on rows of ordinary length and the longest one, whose memory is the peak.

    lesson: `checkpoints` lie in a folder that the caller removes. Raises what `backend.train` raises.
    """
    rows = _rows(lesson.train, 2 if lesson.job.base.parameters >= _LARGE else lesson.job.settings.batch_size)
    settings = replace(lesson.job.settings, batch_size=len(rows))
    short = replace(
        lesson,
        job=replace(lesson.job, settings=settings),
        train=rows,
        validation=rows[:1],
        schedule=Schedule(_MOST, 1, frozenset({_MOST}), 1),
    )
    watch = _Watch(progress)
    began = time.monotonic()
    lesson.checkpoints.folder.mkdir(parents=True, exist_ok=True)
    with suppress(_Enough):
        backend.train(short, watch)
    a_step = sum(map(tokens, rows))
    first, *rest = watch.times
    seconds = (rest[-1] - first) / len(rest) if rest else first - watch.began
    seen = a_step if rest else a_step + _LOOK * tokens(rows[0])
    return Pace(watch.began - began, seconds / seen, peak_memory())


def _rows(rows: Sequence[AnyRow], count: int) -> list[AnyRow]:
    """The longest row, and beside it those nearest to the mean length; a row serves twice where there are too few."""
    mean = sum(map(tokens, rows)) / len(rows)
    near = sorted(rows, key=lambda row: abs(tokens(row) - mean))[: max(1, count - 1)]
    return [*(near[place % len(near)] for place in range(max(1, count - 1))), max(rows, key=tokens)]


def peak_memory() -> int:
    """Bytes that this process has taken at most: of the GPU's memory where it computes on one; 0 where nobody counts."""
    torch, mlx = sys.modules.get("torch"), sys.modules.get("mlx.core")
    if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_reserved())
    try:
        import resource
    except ImportError:  # Windows
        return 0
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return max(resident, int(mlx.get_peak_memory()) if mlx else 0)


class _Watch:
    """Progress that notes when each step ends, and ends the training when there were enough. began: the training proper."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.began = 0.0
        self.times: list[float] = []

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        training = label == "Training"
        with self._progress.task(
            "Taking a few steps" if training else label, _STEPS if training else total, unit
        ) as task:
            if training:
                self.began = time.monotonic()
            yield _Step(self, task) if training else task

    def note(self, message: str) -> None:
        """The run itself will say it."""


class _Step:
    def __init__(self, watch: _Watch, task: Task) -> None:
        self._watch = watch
        self._task = task

    def advance(self, amount: float = 1, **figures: str) -> None:
        now, times = time.monotonic(), self._watch.times
        times.append(now)
        self._task.advance(amount, **figures)
        if now - self._watch.began > _PATIENCE or (len(times) >= _STEPS and now - times[0] > _SECONDS):
            raise _Enough
