"""The training settings as they take effect: what the user decided, what an earlier adapter dictates, and what the corpus, the
base and this machine suggest for the rest.

In: Settings and the training file. Out: an Effective. Nothing heavy is loaded, for plans and dry runs ask too; and nothing is
looked up in a cache or on the network, so that the same command means the same before and after a download.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blogtwin import processes
from blogtwin.config import Settings, TrainingSettings
from blogtwin.errors import UsageError
from blogtwin.training import autopilot, hardware, parent, sizes, starter
from blogtwin.training.autopilot import Choice
from blogtwin.training.models import STARTER

_SHAPE = {"lora_r", "lora_alpha"}


@dataclass(frozen=True)
class Effective:
    """training: complete. choices: what was chosen for the user. remarks: what else a person should know of it."""

    training: TrainingSettings
    choices: tuple[Choice, ...]
    remarks: tuple[str, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """The choices, a line each."""
        lines = [f"  {one.name} {one.value:g}: {one.reason}" for one in self.choices]
        return ("chosen for this corpus, base and machine; a value that you set is kept:", *lines) if lines else ()


def effective(settings: Settings, training_data: Path) -> Effective:
    """What `finetune` will train with. Without the file, the defaults stand where nothing was decided.

    Raises UsageError for settings that do not go together, ModelError for a parent that is no finished adapter.
    """
    given = {key for section, key in settings.given if section == "training"}
    training, remarks = settings.training, tuple[str, ...]()
    if training.from_adapter:
        training, remarks = parent.agreeing(training, given)
    elif training.method != "sft":
        raise UsageError(
            f"{training.method} improves a twin that can write already, and none was given",
            "train one with --method sft first, then add: --from-adapter models/blogging_twin",
        )
    if training.reference and training.method == "sft":
        raise UsageError("sft learns from examples and stays close to nothing", "leave --reference out")
    corpus = sizes.corpus(training_data)
    if corpus:
        corpus = corpus.learned(training.method, settings.learning.replay if training.replay else 0)
    choices: tuple[Choice, ...] = ()
    if corpus and corpus.examples:
        decided = {name: getattr(training, name) for name in autopilot.NAMES if name in given | _decided(training)}
        choices = autopilot.choose(
            corpus, sizes.parameters(training.base_model), _memory(), training.method, decided, processes.count()
        )
        training = replace(training, **{choice.name: choice.value for choice in choices})  # type: ignore[arg-type]
        small = autopilot.too_small(corpus, training.base_model) if training.method == "sft" else None
        remarks = (*remarks, *([small] if small else []))
    if training.method == "kto" and training.batch_size < 2:
        raise UsageError("kto compares the answers of a batch, and batch_size is 1", "take: --batch-size 2, or more")
    return Effective(training, choices, (*remarks, *([starter.NOTE] if training.base_model == STARTER else [])))


def _decided(training: TrainingSettings) -> set[str]:
    """What is not left as it is by default, whoever set it; an adapter to go on from keeps its shape."""
    default = TrainingSettings()
    changed = {name for name in autopilot.NAMES if getattr(training, name) != getattr(default, name)}
    return changed | _SHAPE if training.from_adapter else changed


def _memory() -> int:
    """Bytes, of the device that trains; 0: unknown."""
    found = hardware.detect_hardware_platform()
    return found.device_memory or found.memory
