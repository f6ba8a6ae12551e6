"""The backend that runs everywhere: transformers, peft and trl, on the processor or on an accelerator that torch reaches.

In: a Lesson. Out: checkpoints. The training itself is in sft.py and preference_training.py, which load the heavy libraries. It is
also the one that several processes share (see processes.py): each takes its part of every batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from importlib.util import find_spec

from blogtwin import processes
from blogtwin.progress import Progress
from blogtwin.training.base import Lesson, Memory, Speed, TrainJob
from blogtwin.training.device import Device
from blogtwin.training.engine import Engine
from blogtwin.training.hardware import Hardware
from blogtwin.training.precision import Precision
from blogtwin.training.threads import limited


class Transformers:
    """LoRA with torch's own kernels."""

    name = "transformers"
    libraries: tuple[str, ...] = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")

    def unavailable(self, hardware: Hardware) -> str | None:
        """Any processor serves; the libraries have to be there."""
        missing = [library for library in self.libraries if find_spec(library) is None]
        return f"{', '.join(missing)} not installed: install blogtwin again, with its dependencies" if missing else None

    def choices(self, job: TrainJob) -> Mapping[str, object]:
        """The device and the precision; not how many processes there are: the rows of a step are the same.

        With FSDP a checkpoint is laid out otherwise, so such a run goes on from its own alone.
        """
        device = _device(job)
        precision = _precision(device, job)
        sharded = {"sharded": True} if processes.sharded() else {}
        return {"device": device.name, **asdict(precision), **sharded}

    def memory(self, job: TrainJob) -> Memory:
        """Of the device's, for all the processes that share it; a small base fits everywhere."""
        device = _device(job)
        precision = _precision(device, job)
        shards = processes.count() if processes.sharded() else 1
        needed = precision.memory_needed(job.base.parameters, job.settings.method, shards) if precision.frugal else 0
        return Memory(needed * (processes.on_this_machine() if device.name == "cpu" else 1), device.memory)

    def train(self, lesson: Lesson, progress: Progress) -> Speed:
        """As the protocol says. A GPU whose memory is too small for the job is left alone, with a remark."""
        with progress.task("Loading the training libraries"):
            from blogtwin.training import lora, preference_training, sft
        job = lesson.job
        device = _device(job)
        if device.name == "cpu" and Device.choose(job.hardware).name != "cpu":
            progress.note(f"the processor trains: the memory of {job.hardware.device} is too small for {job.base.name}")
        precision = _precision(device, job)
        with limited(precision.threads(job.threads)):
            engine = Engine(
                load=partial(lora.model_of, precision=precision),
                device=device.arguments(precision),
                sft_loss="nll" if device.name == "cpu" else "chunked_nll",
                lean=device.name == "cpu",
                widened=precision.narrow,
            )
            if job.settings.method == "sft":
                return sft.train(lesson, engine, progress)
            return preference_training.train(lesson, engine, progress)


def _device(job: TrainJob) -> Device:
    """The accelerator, where its memory is enough; several processes have met on it before the base was known."""
    best = Device.choose(job.hardware)
    if best.name == "cpu" or processes.count() > 1 or not best.memory:
        return best
    needed = _precision(best, job).memory_needed(job.base.parameters, job.settings.method)
    return best if needed <= best.memory else Device("cpu", job.hardware.bf16, job.hardware.memory)


def _precision(device: Device, job: TrainJob) -> Precision:
    """A large base is held in bfloat16, as it was published, also where the processor does not multiply it.

    That is half the memory, and the time to convert the weights is lost in that of the products. Learning from preferences
    computes by trl's own way, which wants all numbers alike, and so does FSDP. Where the memory is twice what it takes to
    keep everything that was computed, it is kept: a quarter faster.
    """
    precision = device.precision(job.base.parameters, job.hardware)
    if device.name != "cpu" or job.settings.method != "sft" or processes.sharded() or not precision.frugal:
        return precision
    precision = replace(precision, narrow=not precision.bf16)
    roomy = replace(precision, roomy=True)
    needed = roomy.memory_needed(job.base.parameters) * processes.on_this_machine()
    return roomy if needed <= device.memory / 2 else precision
