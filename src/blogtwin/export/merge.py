"""Merging: base + adapter → one model in 16-bit safetensors, laid out as Hugging Face does.

The numbers are float16, not bfloat16: the F16 GGUF then holds the very same numbers, and float16 keeps every bit of a
bfloat16 base (8 significant bits) between 6e-5 and 65,504, where weights are; what lies above is refused, not clipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin import atomic
from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import ModelError
from blogtwin.export.adapter import Changes, read_changes
from blogtwin.export.checkpoint import Checkpoint, read_json, write_float16
from blogtwin.progress import Progress, Silent

if TYPE_CHECKING:
    import numpy as np

LARGEST = 65504.0  # float16's largest number
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def merge(adapter: Path, into: Path, progress: Progress | None = None, offline: bool = False) -> Path:
    """Write base + (alpha / r)·B·A, summed in float32, into the folder `into`, which appears whole or not at all.

    LoRA: Hu et al., 2021, arXiv:2106.09685, section 4.1. Memory: about 0.2 GB, whatever the model's size.
    offline: a base that is not on this machine may not be downloaded.
    Raises InputError, ModelError (an adapter or base that cannot be merged), OutputError (a full disk).
    """
    parts = read_changes(adapter, offline, progress)
    config = _config(parts.base)
    base = Checkpoint(parts.base)
    _check_fit(parts, base)
    with atomic.open_folder(into) as folder:
        weights = sum(prod(shape) for shape in base.shapes.values())
        with (progress or Silent()).task("Merging", weights, "weights") as task:
            write_float16(folder / "model.safetensors", base.shapes, _merged(parts, base, task.advance))
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        _copy_tokenizer(adapter, parts, folder)
    return into


def _merged(adapter: Changes, base: Checkpoint, advance: Any) -> Iterator[np.ndarray]:
    import torch

    for name in base.shapes:
        for start, block in base.rows(name):
            if name in adapter.factors:
                a, b = adapter.factors[name]
                block += adapter.scale * (b[start : start + len(block)] @ a)
            largest = float(block.abs().max())
            if not largest <= LARGEST:  # also true for a NaN
                raise ModelError(
                    f"{name} reaches {largest:g} after merging, which 16-bit numbers cannot hold",
                    "the training diverged: train again with a smaller --lr",
                )
            yield block.to(torch.float16).numpy()
            advance(block.numel())


def _check_fit(adapter: Changes, base: Checkpoint) -> None:
    for name, (a, b) in adapter.factors.items():
        there = base.shapes.get(name)
        if there != (b.shape[0], a.shape[1]):
            raise ModelError(
                f"the adapter changes {name} of shape {(b.shape[0], a.shape[1])}, but the base {base.folder} "
                + (f"has {there} there" if there else "has no such weight"),
                "the base is not the one it was trained on: put that one back, or train again with blogtwin finetune",
            )


def _config(base: Path) -> dict[str, Any]:
    config = read_json(base / "config.json", "the base model's shape")
    if "quantization_config" in config:
        raise ModelError(
            f"the base model {base} is stored quantized, so nothing can be added to its weights",
            "take the 16-bit repository of the same model as the base",
        )
    config.pop("torch_dtype", None)
    return config | {"dtype": "float16"}


def _copy_tokenizer(adapter: Path, parts: Changes, folder: Path) -> None:
    source = adapter if (adapter / "tokenizer.json").is_file() else parts.base
    for name in _TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"neither {adapter} nor {parts.base} has a tokenizer.json", "train again: blogtwin finetune")
    settings = folder / "tokenizer_config.json"
    if settings.is_file():  # an older template inside this file must not contradict ours
        kept = {key: value for key, value in read_json(settings, "names of tokens").items() if key != "chat_template"}
        settings.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    template = TEMPLATES[parts.card.template].jinja
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")
    if (parts.base / "generation_config.json").is_file():
        shutil.copyfile(parts.base / "generation_config.json", folder / "generation_config.json")
