"""The adapter that training goes on from: what it decides, and the base it stands on.

In: training.from_adapter, a finished adapter folder. Out: settings that agree with it, and its base, checked.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from blogtwin import adapter_folder
from blogtwin.config import TrainingSettings
from blogtwin.errors import ModelError
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.training import models


def agreeing(training: TrainingSettings, given: Collection[str]) -> tuple[TrainingSettings, tuple[str, ...]]:
    """The settings as they are with this parent: its base, its system prompt unless another was given, its rank.

    given: names of the settings that the user decided. Raises ModelError when the parent is no finished adapter.
    """
    assert training.from_adapter is not None
    card = adapter_folder.load(training.from_adapter).card
    rank, alpha = _shape(training.from_adapter)
    changes: dict[str, object] = {"lora_r": rank, "lora_alpha": alpha}
    remarks = [
        f"{name} stays {value}, as in {training.from_adapter}: an adapter keeps its shape"
        for name, value in changes.items()
        if name in given and value != getattr(training, name)
    ]
    if "base_model" not in given:
        changes["base_model"] = card.base_model
    if "system_prompt" not in given:
        changes["system_prompt"] = card.system
    elif training.system_prompt != card.system:
        remarks.append(f"the system prompt is another than {training.from_adapter} was trained with")
    if training.reference:
        _check_reference(training.reference, training.from_adapter)
    return replace(training, **changes), tuple(remarks)  # type: ignore[arg-type]  # the names are those of settings


def stands_beside(reference: Path, parent: Path) -> bool:
    """Whether it is a finished adapter of the same base and shape as the parent's."""
    try:
        _check_reference(reference, parent)
    except ModelError:
        return False
    return True


def _check_reference(reference: Path, parent: Path) -> None:
    """Raises ModelError when it is no finished adapter, or one of another base or shape."""
    own, base = adapter_folder.load(reference).card.base_hash, adapter_folder.read_card(parent).base_hash
    if own != base or _shape(reference) != _shape(parent):
        raise ModelError(
            f"{reference} has another base or rank than {parent}, so the twin cannot stay close to it",
            "take an adapter that this one was trained on from, or leave --reference out",
        )


def _shape(adapter: Path) -> tuple[float, float]:
    """Its rank and alpha."""
    told = json.loads((adapter / adapter_folder.SHAPE).read_text("utf-8"))
    return told["r"], told["lora_alpha"]


def base_of(training: TrainingSettings, offline: bool, progress: Progress) -> models.Base:
    """The base under the parent. Raises ModelError when it is another than the one given, or has changed since."""
    assert training.from_adapter is not None
    path, card = training.from_adapter, adapter_folder.read_card(training.from_adapter)
    if training.base_model == card.base_model:
        folder = adapter_folder.find_base(path, card, offline, progress)
        base = replace(models.check(card.base_model, folder, card.base_path), revision=card.base_revision)
    else:
        base = models.resolve(training.base_model, offline, progress)
    if base.fingerprint != card.base_hash:
        raise ModelError(
            f"{path} was trained on {card.base_model} with the hash {card.base_hash}, and {base.folder} has "
            f"{base.fingerprint}: an adapter fits no other weights than its own base's",
            "leave --base-model out, put the base back as it was, or train anew without --from-adapter",
        )
    return base


def weights_hash(path: Path) -> str:
    """By which a card names its parent: the SHA-256 of the weights."""
    return hash_file(path / adapter_folder.WEIGHTS)
