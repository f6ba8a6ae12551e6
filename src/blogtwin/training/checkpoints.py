"""Checkpoints of an unfinished run: which are whole, which belong to this run, and which one to go on from.

In: a work folder with checkpoint-STEP folders. A checkpoint counts once it is sealed: the seal, written after everything
else, holds the run's fingerprint and the size of every file, so one that a kill or a power cut left half-written is
known and passed over.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from blogtwin import atomic

_SEAL = "sealed.json"


@dataclass(frozen=True)
class Checkpoints:
    """folder: where they are. fingerprint: of everything that decides what this run computes."""

    folder: Path
    fingerprint: str

    def at(self, step: int) -> Path:
        """The folder of one step's checkpoint."""
        return self.folder / f"checkpoint-{step}"

    def seal(self, step: int) -> None:
        """Say that the checkpoint of this step is complete."""
        seal = {"fingerprint": self.fingerprint, "files": _sizes(self.at(step))}
        atomic.write_text(self.at(step) / _SEAL, json.dumps(seal, indent=2) + "\n")

    def sealed(self) -> list[int]:
        """The steps with a whole checkpoint of this run, in order."""
        return sorted(step for step, path in self._all().items() if self._is_whole(path))

    def keep(self, steps: set[int]) -> None:
        """Remove all other checkpoints, the unsealed and the foreign ones too."""
        for step, path in self._all().items():
            if step not in steps:
                (path / _SEAL).unlink(missing_ok=True)  # first, so that a half-removed one is no checkpoint
                shutil.rmtree(path, ignore_errors=True)

    def _all(self) -> dict[int, Path]:
        found = ((path.name.removeprefix("checkpoint-"), path) for path in self.folder.glob("checkpoint-*"))
        return {int(step): path for step, path in found if step.isdigit()}

    def _is_whole(self, path: Path) -> bool:
        try:
            seal = json.loads((path / _SEAL).read_text("utf-8"))
            return bool(seal["fingerprint"] == self.fingerprint and seal["files"] == _sizes(path))
        except (OSError, ValueError, KeyError, TypeError):
            return False


def _sizes(path: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(path.iterdir()) if file.is_file() and file.name != _SEAL}
