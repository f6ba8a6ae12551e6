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
class Tally:
    """How often the same became of a file or of words in it. verdict: cut, dropped, unreadable or passed over."""

    verdict: str
    what: str
    files: int
    words: int


@dataclass(frozen=True)
class StageResult:
    """counts: figures by name, in the order to show them. notes: remarks for people. problems: inputs to look at.

    tallies: what was left out, by kind.
    """

    stage: str
    counts: dict[str, float]
    outputs: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    tallies: tuple[Tally, ...] = field(default=())
