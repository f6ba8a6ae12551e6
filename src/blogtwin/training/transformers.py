"""The backend that runs everywhere: transformers, peft and trl on the processor.

In: a Lesson. Out: checkpoints. The training itself is in sft.py and preference_training.py, which load the heavy libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec

from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Memory, Speed, TrainJob
from blogtwin.training.engine import Engine
from blogtwin.training.hardware import Hardware
from blogtwin.training.precision import Precision
from blogtwin.training.threads import limited


class Transformers:
    """LoRA on the processor."""

    name = "transformers"
    libraries: tuple[str, ...] = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")

    def unavailable(self, hardware: Hardware) -> str | None:
        """Any processor serves; the libraries have to be there."""
        missing = [library for library in self.libraries if find_spec(library) is None]
        return f"{', '.join(missing)} not installed: install blogtwin again, with its dependencies" if missing else None

    def choices(self, job: TrainJob) -> Mapping[str, object]:
        """The precision."""
        precision = Precision.choose(job.base.parameters, job.hardware)
        return {"bf16": precision.bf16, "frugal": precision.frugal}

    def memory(self, job: TrainJob) -> Memory:
        """Of the main memory; a small base fits everywhere."""
        precision = Precision.choose(job.base.parameters, job.hardware)
        needed = precision.memory_needed(job.base.parameters) if precision.frugal else 0
        return Memory(needed, job.hardware.memory)

    def train(self, lesson: Lesson, progress: Progress) -> Speed:
        """As the protocol says."""
        with progress.task("Loading the training libraries"):
            from blogtwin.training import lora, preference_training, sft
        precision = Precision.choose(lesson.job.base.parameters, lesson.job.hardware)
        with limited(lesson.job.threads or (None if precision.frugal else 1)):
            engine = Engine(
                load=partial(lora.model_of, precision=precision),
                device={
                    "use_cpu": True,
                    # Mixed precision is for accelerators; here the base itself is in bfloat16, where it is used.
                    "bf16": False,
                    "gradient_checkpointing": precision.frugal,
                    "dataloader_pin_memory": False,
                },
                # chunked: the vocabulary's logits for the answers alone, a few hundred tokens at a time. A small model's
                # fit into memory whole, which is a sixth faster (measured: 2,208 against 1,877 tokens a processor second).
                sft_loss="chunked_nll" if precision.frugal else "nll",
            )
            if lesson.job.settings.method == "sft":
                return sft.train(lesson, engine, progress)
            return preference_training.train(lesson, engine, progress)
