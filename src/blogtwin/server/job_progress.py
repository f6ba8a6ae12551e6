"""What a job's process has told so far: the lines of its progress file become one small picture.

In: progress.jsonl, which grows (cli/progress_file.py says how). Out: a Picture, for the database, the page and clients.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_NOTES = 30  # the latest that are kept
_LOSSES = 240  # points of the curve; when there are more, every second one goes


class Bar(BaseModel):
    """A piece of work that is going on."""

    label: str = Field(examples=["Training"])
    done: float = Field(examples=[12])
    total: float | None = Field(None, examples=[60], description="empty: unknown")
    unit: str = Field("", examples=["steps"])
    rate: float = Field(0.0, examples=[1.8], description="units a second")
    figures: dict[str, str] = Field(default_factory=dict, examples=[{"loss": "2.104", "rate": "310 tokens/s"}])


class Picture(BaseModel):
    """What a job does now, what it remarked, and the loss so far."""

    model_config = ConfigDict(extra="ignore")  # a newer server may have written it

    bars: dict[str, Bar] = Field(default_factory=dict, description="what is going on, by number")
    notes: list[str] = Field(default_factory=list, examples=[["3/6 train"]], description="the latest remarks")
    losses: list[tuple[float, float]] = Field(
        default_factory=list, examples=[[(4, 2.31), (8, 2.104)]], description="(step, nats a token) since it began"
    )
    exit: int | None = Field(None, description="its exit code, once it has ended by itself")
    error: str = ""
    hint: str = ""

    def take(self, told: dict[str, Any]) -> None:
        """One line of the file."""
        if "task" in told:
            self._bar(str(told["task"]), told)
        elif "note" in told:
            self.notes = [*self.notes, str(told["note"])][-_NOTES:]
        elif "error" in told:
            self.error, self.hint = str(told["error"]), str(told.get("hint", ""))
        elif "exit" in told:
            self.exit, self.bars = int(told["exit"]), {}

    def _bar(self, number: str, told: dict[str, Any]) -> None:
        bar = Bar.model_validate(told)
        with contextlib.suppress(KeyError, ValueError):
            point = (bar.done, float(bar.figures["loss"]))
            if not self.losses or self.losses[-1] != point:
                self.losses = _thinned([*self.losses, point])
        if told.get("ended"):
            self.bars.pop(number, None)
        else:
            self.bars[number] = bar


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return points if len(points) <= _LOSSES else points[::2]


class Reader:
    """Reads on in a progress file, from where it was the last time."""

    def __init__(self, path: Path) -> None:
        self.picture = Picture()
        self._path = path
        self._place = 0

    def read(self) -> bool:
        """Take in what is new; whether there was anything. A line that is not whole yet is left for the next time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                new = file.read()
        except OSError:
            return False
        whole = new[: new.rfind(b"\n") + 1]
        self._place += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # cut by a full disk
                told = json.loads(line)
                if isinstance(told, dict):
                    self.picture.take(told)
        return bool(whole)
