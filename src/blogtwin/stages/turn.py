"""A turn of learning, as it stands on disk: what it learns from, and how far it has come.

In and out: learning/NAME/turn.json, in the twin's folder, and rows.jsonl beside it, the feedback as it was when the turn began;
folders/ names the adapter folders that turns have made. A turn that was killed is found here, and goes on with the same
feedback; what readers say meanwhile belongs to the next one.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal, TypeVar

from pydantic import Field, ValidationError

from blogtwin import atomic, jsonl, workspace
from blogtwin.errors import BlogtwinError, InputError
from blogtwin.records import Record
from blogtwin.service_records import Feedback

R = TypeVar("R", bound=Record)
Step = Literal["taken", "gathered", "trained", "deployed", "measured"]
Lesson = Literal["posts", "approved", "dpo", "kto"]  # examples of posts, texts that readers approved, pairs, ratings
STEPS: tuple[Step, ...] = ("taken", "gathered", "trained", "deployed", "measured")
_LOOK_EVERY = 0.5  # seconds


class Turn(Record):
    """id: of what it learns from. parent, from_adapter: the version it goes on from, and its adapter folder.

    new: ids of the judgements that no version has learned from. read_at: when they were read. posts: how many are new.
    lessons: in their order. version: what was deployed. below: versions of this turn that the floor refused, and why; after
    each, the last lesson is trained for half as many `epochs`.
    """

    id: str
    twin: str
    parent: str
    from_adapter: str
    new: tuple[str, ...] = ()
    read_at: datetime
    posts: int = 0
    lessons: tuple[Lesson, ...] = ()
    done: Step = "taken"
    version: str | None = None
    below: dict[str, str] = Field(default_factory=dict)
    epochs: float | None = None

    def has(self, step: Step) -> bool:
        """Whether `step` is behind it."""
        return STEPS.index(self.done) >= STEPS.index(step)


class Refusal(Record):
    """The last turn whose version fell below the floor: its feedback is not learned, and not tried again by itself alone."""

    turn: str
    version: str
    why: str
    new: tuple[str, ...]
    at: datetime

    @classmethod
    def of(cls, turn: Turn, version: str, why: str) -> Refusal:
        """Of this turn's version."""
        return cls(turn=turn.id, version=version, why=why, new=turn.new, at=datetime.now(UTC))


class Place:
    """Where a twin's turns are kept: learning/NAME below the folder of its data and models."""

    def __init__(self, twin: str, models: Path) -> None:
        self._folder = models.parent / "learning" / twin
        self.models = models
        self._twin = twin

    @property
    def rows_file(self) -> Path:
        """The feedback of the turn, new and old."""
        return self._folder / "rows.jsonl"

    def begin(self, turn: Turn, rows: Iterable[Feedback]) -> None:
        """Keep what the turn learns from, then the turn itself."""
        jsonl.write(self.rows_file, rows)
        self.keep(turn)

    def keep(self, turn: Turn) -> None:
        """How far it has come."""
        atomic.write_text(self._folder / "turn.json", turn.model_dump_json(indent=2) + "\n")

    def open_turn(self) -> Turn | None:
        """The turn that was begun and not ended. Raises InputError for one that somebody has spoiled."""
        return _read(self._folder / "turn.json", Turn)

    def rows(self) -> Iterator[Feedback]:
        """The feedback of the open turn."""
        return jsonl.read(self.rows_file, Feedback)

    def refused(self) -> Refusal | None:
        """What was refused last."""
        return _read(self._folder / "refused.json", Refusal)

    def end(self, refusal: Refusal | None = None) -> None:
        """The turn is over."""
        if refusal:
            atomic.write_text(self._folder / "refused.json", refusal.model_dump_json(indent=2) + "\n")
        else:
            (self._folder / "refused.json").unlink(missing_ok=True)
        (self._folder / "turn.json").unlink(missing_ok=True)
        self.rows_file.unlink(missing_ok=True)

    def give_up(self) -> None:
        """The open turn is over, and came to nothing, whatever its file says."""
        (self._folder / "turn.json").unlink(missing_ok=True)
        self.rows_file.unlink(missing_ok=True)

    def make(self, turn: Turn, lesson: int) -> Path:
        """The adapter folder of one lesson, recorded as made by this turn before anything is in it."""
        adapter = self.adapter(turn, lesson)
        atomic.write_text(self._folder / "folders" / adapter.name, turn.id)
        return adapter

    def made(self) -> dict[str, str]:
        """The folders below `models` that turns have made and nobody has removed: name → the turn's id."""
        there = sorted((self._folder / "folders").glob(f"{self._twin}-*"))
        return {path.name: path.read_text("utf-8") for path in there}

    def forget(self, folder: str) -> None:
        """It is there no more."""
        (self._folder / "folders" / folder).unlink(missing_ok=True)

    def adapter(self, turn: Turn, lesson: int) -> Path:
        """The adapter folder of one lesson; the last one's is the version's, and another one after each that was refused."""
        if lesson < len(turn.lessons) - 1:
            return self.models / f"{self._twin}-{turn.id}-{turn.lessons[lesson]}"
        return self.models / f"{self._twin}-{turn.id}{f'-{len(turn.below) + 1}' if turn.below else ''}"

    def report(self, version: str) -> Path:
        """Where the evaluation of a version goes."""
        return self._folder / f"eval_{version.partition(':')[2]}.json"


def _read(path: Path, kind: type[R]) -> R | None:
    try:
        return kind.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError) as fault:
        raise InputError(f"{path} is not what `blogtwin learn` wrote there", f"remove it: rm {path}") from fault


class Busy(BlogtwinError):
    """Another `learn` of the same twin is at work."""


@contextlib.contextmanager
def alone(twin: str, wait: bool) -> Iterator[None]:
    """Be the only one that learns for `twin` on this machine; however this process ends, the next one can.

    twin: its name, or NAME@WHAT for a lesser work that learning does not keep from. wait: for the other one, instead of leaving.
    Raises Busy.
    """
    path = workspace.home() / "learning" / f"{twin}.lock"
    with atomic.writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    with file:
        while not _locked(file):
            if not wait:
                raise Busy(f"{twin} is learning already, in another process", "wait for it with: blogtwin learn --wait")
            time.sleep(_LOOK_EVERY)
        yield


def _locked(file: IO[bytes]) -> bool:
    """Lock the file, if nobody else has; the lock goes when the file is closed, by the system if need be."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
