"""What a stage tells when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One input that was left out or only partly understood: which, why, and whether it was lost."""

    path: str
    reason: str
    lost: bool = True


@dataclass(frozen=True)
class StageResult:
    """counts: figures by name, in the order to show them. notes: remarks for people. problems: inputs to look at."""

    stage: str
    counts: dict[str, float]
    outputs: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
