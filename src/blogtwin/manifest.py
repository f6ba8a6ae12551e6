"""Manifests: what a stage read, with which settings, and what came out; written last, so it vouches for the whole.

A stage describes itself as a Plan. `Plan.current()` says whether its outputs are what this plan would make again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from blogtwin import __version__, atomic
from blogtwin.records import Record

NEVER_RUN = "it has not run yet"


class FileStamp(Record):
    """A file's content hash, with the size and time at which it was taken: unchanged ones need no second reading."""

    sha256: str
    size: int
    mtime_ns: int


class Manifest(Record):
    """Beside each stage's output."""

    stage: str
    version: str
    settings: str  # hash
    inputs: dict[str, FileStamp]
    outputs: dict[str, FileStamp]
    counts: dict[str, float]
    seconds: float


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_settings(settings: Mapping[str, object]) -> str:
    """A hash of settings, independent of the order of keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def stamp(path: Path, known: FileStamp | None = None) -> FileStamp:
    """The stamp of a file; its hash is taken over from `known` when size and time are the same."""
    status = path.stat()
    if known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
        return known
    try:
        content = hash_file(path)
    except PermissionError:  # one post that stays shut must not end the run that lists it
        content = "unreadable"
    return FileStamp(sha256=content, size=status.st_size, mtime_ns=status.st_mtime_ns)


def files_under(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """`path` itself when it is a file, else every file below it in a fixed order, without hidden ones.

    A folder that stays shut counts as empty, and a link to a folder above is not followed round and round.
    """
    if path.is_file():
        yield path
    elif path.is_dir() and (real := path.resolve()) not in above:
        try:
            children = sorted(path.iterdir())
        except PermissionError:
            return
        for child in children:
            if not child.name.startswith("."):
                yield from files_under(child, above | {real})


def _name(file: Path) -> str:
    """The path as JSON can hold it: bytes of a name that are no UTF-8 are written as escapes."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Plan:
    """What one stage is about to do: read `inputs`, with `settings`, and write `outputs`, then `manifest`.

    listings: inputs that are too many to be hashed one by one, as a stamp that the stage made of their names, sizes and times.
    """

    stage: str
    settings: Mapping[str, object]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    manifest: Path
    listings: Mapping[str, FileStamp] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic, compare=False)

    @property
    def settings_hash(self) -> str:
        return hash_settings(self.settings)

    def read(self) -> Manifest | None:
        """The manifest of the last run, or None when there is none that can be read."""
        try:
            return Manifest.model_validate_json(self.manifest.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValidationError, UnicodeDecodeError):
            return None

    def stale(self) -> str | None:
        """Why this stage has to run, or None when its outputs are what it would make again."""
        last = self.read()
        if last is None:
            return NEVER_RUN
        if last.settings != self.settings_hash:
            return "its settings have changed"
        for name, listing in self.listings.items():
            if last.inputs.get(name) != listing:
                return f"input {name} has changed"
        hashed = {name: one for name, one in last.inputs.items() if name not in self.listings}
        for paths, known, what in ((self.inputs, hashed, "input"), (self.outputs, last.outputs, "output")):
            now = {_name(file): stamp(file, known.get(_name(file))) for path in paths for file in files_under(path)}
            if {name: one.sha256 for name, one in now.items()} != {name: one.sha256 for name, one in known.items()}:
                changed = sorted(name for name in {*now, *known} if now.get(name) != known.get(name))
                return f"{what} {changed[0]} has changed"
        return None

    def vouched(self) -> bool:
        """Whether the outputs are those of a run with these settings, whatever has become of the inputs."""
        last = self.read()
        if last is None or last.settings != self.settings_hash:
            return False
        files = [file for path in self.outputs for file in files_under(path)]
        return {_name(file): stamp(file, last.outputs.get(_name(file))).sha256 for file in files} == {
            name: one.sha256 for name, one in last.outputs.items()
        }

    def forget(self) -> None:
        """As if this stage had never run: nothing that it made is taken for what it would make."""
        self.manifest.unlink(missing_ok=True)

    def finish(self, counts: Mapping[str, float]) -> Manifest:
        """Write the manifest: the last thing a stage does."""
        done = Manifest(
            stage=self.stage,
            version=__version__,
            settings=self.settings_hash,
            inputs={_name(file): stamp(file) for path in self.inputs for file in files_under(path)}
            | dict(self.listings),
            outputs={_name(file): stamp(file) for path in self.outputs for file in files_under(path)},
            counts=dict(counts),
            seconds=round(time.monotonic() - self.started, 3),
        )
        atomic.write_text(self.manifest, done.model_dump_json(indent=2) + "\n")
        return done
