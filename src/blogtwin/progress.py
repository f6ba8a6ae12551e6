"""How long work tells of itself: stages call this, the command line draws it, and nothing else prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One bar."""

    def advance(self, amount: float = 1, **figures: str) -> None:
        """`amount` more is done; `figures` (loss="4.12", rate="180 tokens/s") replace what stands beside the bar."""


class Progress(Protocol):
    """Where a stage reports what it is doing."""

    def task(self, label: str, total: float | None = None, unit: str = "") -> AbstractContextManager[Task]:
        """A bar for `total` units of work (None: unknown), removed when the block ends."""

    def note(self, message: str) -> None:
        """A remark that stays on the screen."""


class _SilentTask:
    def advance(self, amount: float = 1, **figures: str) -> None:
        return None


class Silent:
    """Progress for library use: notes are kept in `notes`, bars are not drawn."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        yield _SilentTask()

    def note(self, message: str) -> None:
        self.notes.append(message)
