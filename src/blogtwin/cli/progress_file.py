"""Progress for machines: with BLOGTWIN_PROGRESS=FILE every command appends what it tells to that file, one JSON object a line.

{"at": 1795000000.0, "task": 2, "label": "Training", "done": 12, "total": 60, "unit": "steps", "rate": 1.8,
 "figures": {"loss": "4.120"}, "ended": false}    a bar; rate: units a second; figures as they stand beside the bar
{"at": …, "note": "2/5 prepare"}                  a remark
{"at": …, "error": "…", "hint": "…"}              why it failed
{"at": …, "exit": 0}                              the last line; where it lacks, the process was killed
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blogtwin.progress import Progress, Task

VARIABLE = "BLOGTWIN_PROGRESS"
_BETWEEN_LINES = 0.25  # seconds, for each bar


def tell(**told: object) -> None:
    """Append one line; nothing where nobody asked for it. A full disk costs the line, and not the work."""
    place = os.environ.get(VARIABLE)
    if not place:
        return
    line = json.dumps({"at": round(time.time(), 3), **told}, ensure_ascii=False) + "\n"
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError:
        return


def also_told(drawn: Progress) -> Progress:
    """`drawn`, and the file beside it where one is wanted."""
    return Told(drawn) if os.environ.get(VARIABLE) else drawn


class Told:
    """Progress that is drawn and written to the file."""

    def __init__(self, drawn: Progress) -> None:
        self._drawn = drawn
        self._numbers = itertools.count()

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        with self._drawn.task(label, total, unit) as drawn:
            task = _ToldTask(drawn, {"task": next(self._numbers), "label": label, "total": total, "unit": unit})
            task.write()
            try:
                yield task
            finally:
                task.write(ended=True)

    def note(self, message: str) -> None:
        self._drawn.note(message)
        tell(note=message)


class _ToldTask:
    """One bar; a line when it begins, when it ends, and now and then between."""

    def __init__(self, drawn: Task, named: dict[str, object]) -> None:
        self._drawn = drawn
        self._named = named
        self._done = 0.0
        self._figures: dict[str, str] = {}
        self._began = self._written = time.monotonic()

    def advance(self, amount: float = 1, **figures: str) -> None:
        self._drawn.advance(amount, **figures)
        self._done += amount
        self._figures |= figures
        if time.monotonic() - self._written >= _BETWEEN_LINES:
            self.write()

    def write(self, ended: bool = False) -> None:
        self._written = time.monotonic()
        seconds = self._written - self._began
        rate = round(self._done / seconds, 3) if seconds > 0 else 0.0
        done = round(self._done, 3)
        tell(**self._named, done=done, rate=rate, figures=self._figures, ended=ended)
