"""The change that an adapter makes to each weight of its base.

In: an adapter folder (adapter_folder.py). Out: Changes: the base, and the factors of each sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blogtwin import adapter_folder
from blogtwin.errors import ModelError
from blogtwin.export.checkpoint import read_json, read_tensors
from blogtwin.progress import Progress, Silent
from blogtwin.records import AdapterCard

if TYPE_CHECKING:
    import numpy as np

# Settings of PEFT that change what the tensors mean; with any other value than these the sum below would be wrong.
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False,),
    "lora_bias": (False,),
    "fan_in_fan_out": (False,),
    "modules_to_save": (None, []),
    "rank_pattern": (None, {}),
    "alpha_pattern": (None, {}),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "init_lora_weights": (True, False, "gaussian", "orthogonal"),  # the others change the base's own weights too
}
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Changes:
    """card: what the folder says of itself. base: the folder of the base model.

    factors: base tensor → (A, shape (r, inputs); B, shape (outputs, r)), float32 arrays. scale: what B·A is multiplied by.
    """

    card: AdapterCard
    base: Path
    factors: dict[str, tuple[np.ndarray, np.ndarray]]
    scale: float


def read_changes(folder: Path, offline: bool = False, progress: Progress | None = None) -> Changes:
    """What the adapter in `folder` changes, with its base found. offline: nothing may be downloaded.

    Raises InputError, or ModelError for an adapter that is not whole, of a kind that a sum cannot merge, or of another base.
    """
    card = adapter_folder.load(folder).card
    settings = read_json(folder / adapter_folder.SHAPE, "the adapter's shape")
    for key, plain in _PLAIN.items():
        if key in settings and settings[key] not in plain:
            raise ModelError(
                f"{folder / adapter_folder.SHAPE}: {key} is {settings[key]!r}, which blogtwin cannot merge",
                "train a plain LoRA adapter with: blogtwin finetune",
            )
    rank = float(settings["r"])
    scale = float(settings["lora_alpha"]) / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    base = adapter_folder.find_base(folder, card, offline, progress)
    with (progress or Silent()).task("Checking the base model"):  # gigabytes are read
        adapter_folder.check_base(folder, card, base)
    return Changes(card, base, _factors(folder / adapter_folder.WEIGHTS), scale)


def _factors(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    tensors = read_tensors(path)
    factors = {}
    for name in sorted(tensors):
        if not name.startswith(_PREFIX) or not name.endswith((".lora_A.weight", ".lora_B.weight")):
            raise ModelError(
                f"{path}: {name} is not part of a plain LoRA adapter",
                "train one with: blogtwin finetune",
            )
        module = name.removesuffix(".lora_A.weight")
        if module != name:
            other = f"{module}.lora_B.weight"
            if other not in tensors:
                raise ModelError(f"{path}: {name} has no {other} beside it", "train it again: blogtwin finetune")
            weight = f"{module.removeprefix(_PREFIX)}.weight"
            factors[weight] = (tensors[name], tensors[other])
    if 2 * len(factors) != len(tensors):
        raise ModelError(f"{path}: a lora_B has no lora_A beside it", "train it again with: blogtwin finetune")
    return factors
