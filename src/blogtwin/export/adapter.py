"""An adapter folder, read: what it says of itself, the base it belongs to, and the change it makes to each weight.

In: the folder that `finetune` leaves (twin.json, adapter_config.json, adapter_model.safetensors). Out: an Adapter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blogtwin.errors import InputError, ModelError
from blogtwin.export.checkpoint import open_safetensors, read_json
from blogtwin.records import AdapterCard

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
class Adapter:
    """card: what the folder says of itself. base: the folder of the base model.

    factors: base tensor → (A, shape (r, inputs); B, shape (outputs, r)), in float32. scale: what B·A is multiplied by.
    """

    card: AdapterCard
    base: Path
    factors: dict[str, tuple[Any, Any]]
    scale: float


def read_card(folder: Path) -> AdapterCard:
    """What an adapter folder says of itself. Raises InputError when it is no adapter folder."""
    try:
        return AdapterCard.model_validate(read_json(folder / "twin.json", "what the adapter was made from"))
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        raise InputError(
            f"{folder / 'twin.json'}: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            "make it again with: blogtwin finetune",
        ) from fault


def read_adapter(folder: Path, offline: bool = False) -> Adapter:
    """The whole adapter, with its base found. offline: nothing may be downloaded.

    Raises InputError, or ModelError for a kind of adapter that a sum cannot merge.
    """
    card = read_card(folder)
    settings = read_json(folder / "adapter_config.json", "the adapter's shape")
    for key, plain in _PLAIN.items():
        if key in settings and settings[key] not in plain:
            raise ModelError(
                f"{folder / 'adapter_config.json'}: {key} is {settings[key]!r}, which blogtwin cannot merge",
                "train a plain LoRA adapter with: blogtwin finetune",
            )
    rank = float(settings["r"])
    scale = float(settings["lora_alpha"]) / (math.sqrt(rank) if settings.get("use_rslora") else rank)
    return Adapter(card, base_folder(folder, card, offline), _factors(folder / "adapter_model.safetensors"), scale)


def base_folder(adapter: Path, card: AdapterCard, offline: bool = False) -> Path:
    """Where the base model lies: below the adapter folder, at its own path, or in the hub's cache on this machine."""
    for place in (adapter / card.base_path, Path(card.base_path)):
        if (place / "config.json").is_file():
            return place
    return _from_hub(card, offline)


def _from_hub(card: AdapterCard, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    fault: Exception | None = None
    for local in (True,) if offline else (True, False):  # the cache first: a base that was trained on is there
        try:
            found = Path(
                snapshot_download(card.base_path, allow_patterns=["*.safetensors*", "*.json"], local_files_only=local)
            )
        except (OSError, ValueError, HFValidationError) as refusal:
            fault = refusal
            continue
        if (found / "config.json").is_file() and any(found.glob("*.safetensors")):
            return found
    raise ModelError(
        f"the base model {card.base_path} is neither a folder nor in the local cache of models",
        "put it back where it was when the adapter was trained, or connect to the network and run the command again",
    ) from fault


def _factors(path: Path) -> dict[str, tuple[Any, Any]]:
    file = open_safetensors(path)
    names = set(file.keys())
    factors = {}
    for name in sorted(names):
        if not name.startswith(_PREFIX) or not name.endswith((".lora_A.weight", ".lora_B.weight")):
            raise ModelError(
                f"{path}: {name} is not part of a plain LoRA adapter",
                "train one with: blogtwin finetune",
            )
        module = name.removesuffix(".lora_A.weight")
        if module != name:
            other = f"{module}.lora_B.weight"
            if other not in names:
                raise ModelError(f"{path}: {name} has no {other} beside it", "train it again: blogtwin finetune")
            weight = f"{module.removeprefix(_PREFIX)}.weight"
            factors[weight] = (file.get_tensor(name).float(), file.get_tensor(other).float())
    if 2 * len(factors) != len(names):
        raise ModelError(f"{path}: a lora_B has no lora_A beside it", "train it again with: blogtwin finetune")
    return factors
