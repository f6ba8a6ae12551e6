"""The backend for Apple silicon: LoRA on MLX, with the model classes of mlx-lm.

In: a Lesson. Out: checkpoints in PEFT's layout. The training itself is in mlx_loop.py, which loads the heavy libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec

from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Memory, Speed, TrainJob
from blogtwin.training.hardware import Hardware
from blogtwin.training.precision import Precision


class Mlx:
    """LoRA on the GPU of a Mac. anywhere: also on Linux, on the processor, as a user who asks for this backend by name wants."""

    name = "mlx"
    libraries: tuple[str, ...] = ("mlx", "mlx-lm", "transformers", "peft")

    def __init__(self, anywhere: bool = False) -> None:
        self.anywhere = anywhere

    def unavailable(self, hardware: Hardware) -> str | None:
        """Apple silicon, unless asked for elsewhere, and the libraries."""
        if hardware.platform != "apple_silicon" and not self.anywhere:
            return f"no Apple silicon was found: {hardware.found.get('apple_silicon', 'this is no Mac')}"
        if any(find_spec(library) is None for library in ("mlx", "mlx_lm")):
            return "the `mlx` extra is not installed: uv sync --extra mlx"
        return None

    def choices(self, job: TrainJob) -> Mapping[str, object]:
        """The precision, and whether a GPU or a processor computes."""
        precision = _precision(job)
        return {"platform": job.hardware.platform, "bf16": precision.bf16, "frugal": precision.frugal}

    def memory(self, job: TrainJob) -> Memory:
        """Of the main memory, which a Mac's GPU shares; a small base fits everywhere."""
        precision = _precision(job)
        needed = precision.memory_needed(job.base.parameters, job.settings.method) if precision.frugal else 0
        return Memory(needed, job.hardware.memory)

    def train(self, lesson: Lesson, progress: Progress) -> Speed:
        """As the protocol says."""
        with progress.task("Loading the training libraries"):
            from blogtwin.training import mlx_loop
        return mlx_loop.train(lesson, _precision(lesson.job), progress)


def _precision(job: TrainJob) -> Precision:
    """Large bases in bfloat16 where a GPU multiplies it; MLX on a processor is slower with it, whatever the processor can."""
    precision = Precision.choose(job.base.parameters, job.hardware)
    return replace(precision, bf16=precision.frugal and job.hardware.platform == "apple_silicon")
