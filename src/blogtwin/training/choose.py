"""Which backend trains: the one that was asked for, or the first, in order of preference, that can serve here."""

from __future__ import annotations

from blogtwin import processes
from blogtwin.errors import ModelError
from blogtwin.training.base import TrainingBackend
from blogtwin.training.device import Device
from blogtwin.training.hardware import Hardware, Platform
from blogtwin.training.mlx import Mlx
from blogtwin.training.transformers import Transformers
from blogtwin.training.unsloth import Unsloth

_MADE_FOR: dict[Platform, str] = {"cuda": "unsloth", "rocm": "unsloth", "xpu": "unsloth", "apple_silicon": "mlx"}


def backends(wanted: str = "auto") -> tuple[TrainingBackend, ...]:
    """All backends, the preferred ones first. wanted: the one that the user asked for, which may serve in more places."""
    return (Unsloth(), Mlx(anywhere=wanted == "mlx"), Transformers())


def unused(hardware: Hardware, chosen: TrainingBackend) -> str | None:
    """A remark when the accelerator of this machine is left alone, or could be used better, and what would do that."""
    made_for_it = _MADE_FOR.get(hardware.platform)
    for backend in backends():
        if backend.name == made_for_it and backend.name != chosen.name:
            mend = _unavailable(backend, hardware) or f"--backend {backend.name} would"
            if chosen.name != "transformers" or Device.choose(hardware).name == "cpu":
                return f"{hardware.device} is not used: {mend}"
            return f"{hardware.device} is used by plain transformers, not by {backend.name}: {mend}"
    if made_for_it and hardware.devices > processes.count() == 1:
        return (
            f"one of {hardware.devices} is used, {hardware.device}: docs/scaling.md has the commands that use them all"
        )
    return None


def choose(hardware: Hardware, wanted: str = "auto") -> TrainingBackend:
    """The backend named `wanted`; for `auto` the first that can train here. Raises ModelError with the reasons when none can."""
    reasons = []
    for backend in backends(wanted):
        if wanted in ("auto", backend.name):
            reason = _unavailable(backend, hardware)
            if reason is None:
                return backend
            reasons.append(f"{backend.name}: {reason}" if wanted == "auto" else reason)
    if wanted == "auto":
        raise ModelError(
            f"nothing on this machine can train: {'; '.join(reasons)}", "see what is missing: blogtwin doctor"
        )
    raise ModelError(
        f"the {wanted} backend cannot train here: {'; '.join(reasons)}",
        "leave the choice to blogtwin: --backend auto",
    )


def _unavailable(backend: TrainingBackend, hardware: Hardware) -> str | None:
    """Its own reason; and only the trainers of transformers know how to share a batch among processes."""
    if processes.count() > 1 and backend.name != "transformers":
        return f"it trains in one process, and {processes.count()} were started"
    return backend.unavailable(hardware)
