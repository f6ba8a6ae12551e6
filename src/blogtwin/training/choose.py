"""Which backend trains: the first, in order of preference, that can serve on this hardware."""

from __future__ import annotations

from blogtwin.errors import ModelError
from blogtwin.training.base import TrainingBackend
from blogtwin.training.hardware import Hardware
from blogtwin.training.transformers import Transformers


def backends() -> tuple[TrainingBackend, ...]:
    """All backends, the preferred ones first."""
    return (Transformers(),)


def choose(hardware: Hardware) -> TrainingBackend:
    """The first backend that can train here. Raises ModelError with every backend's reason when none can."""
    reasons = []
    for backend in backends():
        reason = backend.unavailable(hardware)
        if reason is None:
            return backend
        reasons.append(f"{backend.name}: {reason}")
    raise ModelError("nothing on this machine can train: " + "; ".join(reasons), "see what is missing: blogtwin doctor")
