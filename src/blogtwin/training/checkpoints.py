"""Checkpoints of an unfinished run: which are whole, which belong to this run, and which one to go on from.

In: a work folder with checkpoint-STEP folders. A checkpoint counts once it is sealed: the seal, written after everything
else, holds the run's fingerprint and the hash of every file, so one that a kill, a power cut or a dying disk left
damaged is known and passed over.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from blogtwin import atomic
from blogtwin.manifest import hash_file
from blogtwin.training import curve

LOG = "trainer_state.json"  # transformers' name for it; its "log_history" holds the run's numbers so far
_SEAL = "sealed.json"


@dataclass(frozen=True)
class Checkpoints:
    """folder: where they are. fingerprint: of everything that decides what this run computes."""

    folder: Path
    fingerprint: str

    def at(self, step: int) -> Path:
        """The folder of one step's checkpoint."""
        return self.folder / f"checkpoint-{step}"

    def latest(self) -> int | None:
        """The step to go on from: the last whole checkpoint, provided that the best one before it is whole too."""
        sealed = self.sealed()
        usable = [step for step in sealed if self._best(step, self._log(step)) in sealed]
        return usable[-1] if usable else None

    def log(self) -> curve.Log:
        """The numbers of the run so far, as the checkpoint to go on from has them; [] where there is none."""
        step = self.latest()
        return [] if step is None else self._log(step)

    def done(self, step: int, log: curve.Log) -> None:
        """Say that the checkpoint of this step is complete, and remove what is no longer needed.

        Two are kept to go on from, the second in case the first is damaged, and with each the best one up to it.
        """
        self.seal(step)
        needed = sorted(there for there in self._all() if there <= step)[-2:]
        self.keep({*needed, *(self._best(there, log) for there in needed)})

    def seal(self, step: int) -> None:
        """Vouch for the checkpoint of this step."""
        seal = {"fingerprint": self.fingerprint, "files": _hashes(self.at(step))}
        atomic.write_text(self.at(step) / _SEAL, json.dumps(seal, indent=2) + "\n")

    def sealed(self) -> list[int]:
        """The steps with a whole checkpoint of this run, in order."""
        return sorted(step for step, path in self._all().items() if self._damage(path) == "")

    def sweep(self) -> list[str]:
        """Remove what a kill left unsealed, what another run left, and what is damaged; says which were damaged."""
        told = {step: self._damage(path) for step, path in sorted(self._all().items())}
        self.keep({step for step, damage in told.items() if damage == ""})
        return [f"the checkpoint of step {step} is passed over: {damage}" for step, damage in told.items() if damage]

    def keep(self, steps: set[int]) -> None:
        """Remove all other checkpoints."""
        for step, path in self._all().items():
            if step not in steps:
                (path / _SEAL).unlink(missing_ok=True)  # first, so that a half-removed one is no checkpoint
                shutil.rmtree(path, ignore_errors=True)

    def _all(self) -> dict[int, Path]:
        found = ((path.name.removeprefix("checkpoint-"), path) for path in self.folder.glob("checkpoint-*"))
        return {int(step): path for step, path in found if step.isdigit()}

    def _log(self, step: int) -> curve.Log:
        log: curve.Log = json.loads((self.at(step) / LOG).read_text("utf-8"))["log_history"]
        return log

    def _best(self, step: int, log: curve.Log) -> int:
        """The best validated step up to this one; the step itself before the first validation."""
        return curve.best_step([entry for entry in log if entry["step"] <= step]) or step

    def _damage(self, path: Path) -> str | None:
        """ "" for a whole checkpoint of this run, None for one that is unfinished or another run's, else what is wrong."""
        try:
            seal = json.loads((path / _SEAL).read_text("utf-8"))
            if seal["fingerprint"] != self.fingerprint:
                return None
            known = dict(seal["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        try:
            now = _hashes(path)
        except OSError as fault:
            return f"it cannot be read: {fault.strerror}"
        changed = sorted(name for name in {*known, *now} if known.get(name) != now.get(name))
        return f"{changed[0]} is not what was written" if changed else ""


def _hashes(path: Path) -> dict[str, str]:
    return {file.name: hash_file(file) for file in sorted(path.iterdir()) if file.is_file() and file.name != _SEAL}
