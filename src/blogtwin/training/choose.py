"""Which backend trains: the one that was asked for, or the first, in order of preference, that can serve here."""

from __future__ import annotations

from blogtwin.errors import ModelError
from blogtwin.training.base import TrainingBackend
from blogtwin.training.hardware import Hardware, Platform
from blogtwin.training.mlx import Mlx
from blogtwin.training.transformers import Transformers
from blogtwin.training.unsloth import Unsloth

_MADE_FOR: dict[Platform, str] = {"cuda": "unsloth", "rocm": "unsloth", "xpu": "unsloth", "apple_silicon": "mlx"}


def backends(wanted: str = "auto") -> tuple[TrainingBackend, ...]:
    """All backends, the preferred ones first. wanted: the one that the user asked for, which may serve in more places."""
    return (Unsloth(), Mlx(anywhere=wanted == "mlx"), Transformers())


def unused(hardware: Hardware, chosen: TrainingBackend) -> str | None:
    """A remark when this machine has an accelerator that `chosen` leaves alone, with what would put it to use."""
    made_for_it = _MADE_FOR.get(hardware.platform)
    for backend in backends():
        if backend.name == made_for_it and backend.name != chosen.name:
            return (
                f"{hardware.device} is not used: {backend.unavailable(hardware) or f'--backend {backend.name} would'}"
            )
    return None


def choose(hardware: Hardware, wanted: str = "auto") -> TrainingBackend:
    """The backend named `wanted`; for `auto` the first that can train here. Raises ModelError with the reasons when none can."""
    reasons = []
    for backend in backends(wanted):
        if wanted in ("auto", backend.name):
            reason = backend.unavailable(hardware)
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
