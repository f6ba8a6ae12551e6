"""Which backend trains: the one that was asked for, or the first, in order of preference, that can serve here."""

from __future__ import annotations

from blogtwin.errors import ModelError
from blogtwin.training.base import TrainingBackend
from blogtwin.training.hardware import Hardware
from blogtwin.training.transformers import Transformers


def backends() -> tuple[TrainingBackend, ...]:
    """All backends, the preferred ones first."""
    return (Transformers(),)


def choose(hardware: Hardware, wanted: str = "auto") -> TrainingBackend:
    """The backend named `wanted`; for `auto` the first that can train here. Raises ModelError with the reasons when none can."""
    reasons = []
    for backend in backends():
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
        f"the {wanted} backend cannot train here: {'; '.join(reasons) or 'it is not part of this version'}",
        "leave the choice to blogtwin: --backend auto",
    )
