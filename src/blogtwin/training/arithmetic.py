"""How fast this machine multiplies matrices, as a first guess at how fast it will train. Heavy: loads torch or MLX.

In: where and in which numbers a base would be computed. Out: a Pace, good to a factor of about three.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from blogtwin.errors import ModelError
from blogtwin.training import sizes
from blogtwin.training.base import TrainingBackend, TrainJob
from blogtwin.training.estimate import Pace
from blogtwin.training.precision import Precision
from blogtwin.training.threads import limited

_SECONDS = 0.15
_REACHED = (
    0.35  # of that speed in training, by mini-llama in float32 (0.47) and a 1B shape in bfloat16 (0.2), on processors
)
_ROWS = 512  # tokens multiplied at once
# Operations for each parameter and token: two forward and two for the slopes of what came in (a base's own weights
# need none); two more where activations are computed twice.
_OPERATIONS, _TWICE = 4, 6
_LIBRARIES = 1_100_000_000  # bytes that Python, torch and trl take by themselves (measured: 1.16 GB with starter)
_START = 15.0  # seconds to load them, on a machine that does other things too


def pace(job: TrainJob, backend: TrainingBackend) -> Pace:
    """Nothing of the base is read, so it may be one that is not here yet. Raises ModelError when the device does not answer."""
    parameters, precision = job.base.parameters, Precision.choose(job.base.parameters, job.hardware)
    with limited(precision.threads(job.threads)):
        try:
            speed = _speed(_product(backend.name, job, precision.bf16))
        except (
            RuntimeError,
            AssertionError,
            ImportError,
        ) as fault:  # AssertionError: a torch that was not built for it
            raise ModelError(
                f"{job.hardware.device} does not compute: {(str(fault).strip() or repr(fault)).splitlines()[0]}",
                "see what is amiss with: blogtwin doctor",
            ) from fault
    operations = (_TWICE if precision.frugal else _OPERATIONS) * parameters
    needed = backend.memory(job).needed or _LIBRARIES + 40 * parameters  # measured: 1.26 GB with 3.5 million
    return Pace(_START, operations / (_REACHED * speed), needed)


def _speed(multiply: Callable[[], int]) -> float:
    """Operations a second; the first product, which sets things up, is not counted."""
    multiply()
    done, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < _SECONDS:
        done += multiply()
    return done / elapsed


def _product(backend: str, job: TrainJob, bf16: bool) -> Callable[[], int]:
    """One product of the base's own width where `backend` would compute it; it returns how many operations that was."""
    width = max(64, 32 * round(sizes.width(job.base.parameters) / 32))
    operations = 2 * _ROWS * width * width
    if backend == "mlx":
        import mlx.core as mx

        number = mx.bfloat16 if bf16 and job.hardware.platform == "apple_silicon" else mx.float32
        left, right = mx.ones((_ROWS, width), number), mx.ones((width, width), number)

        def in_mlx() -> int:
            mx.eval(left @ right)
            return operations

        return in_mlx
    import torch

    device = {"rocm": "cuda"}.get(job.hardware.platform, job.hardware.platform) if backend == "unsloth" else "cpu"
    kind: dict[str, Any] = {"device": device, "dtype": torch.bfloat16 if bf16 or device != "cpu" else torch.float32}
    first, second = torch.ones((_ROWS, width), **kind), torch.ones((width, width), **kind)

    def in_torch() -> int:
        product = first @ second
        product[0, 0].item()  # waits for a device that works on its own
        return operations

    return in_torch
