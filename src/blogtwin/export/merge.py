"""Merging: base + adapter → one model, read a few rows at a time, or written as 16-bit safetensors.

What is written is float16, not bfloat16: the F16 GGUF then holds the very same numbers, and float16 keeps every bit of a bfloat16
base (8 significant bits) between 6e-5 and 65,504, where weights are; what lies above is refused, not clipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blogtwin import atomic
from blogtwin.chat_template import TEMPLATES
from blogtwin.errors import ModelError
from blogtwin.export.adapter import Changes, read_changes
from blogtwin.export.checkpoint import Checkpoint, Weights, blocks, in_order, read_json, write_float16
from blogtwin.export.ggml import encode
from blogtwin.export.model import Model
from blogtwin.progress import Progress, Silent

if TYPE_CHECKING:
    import numpy as np

LARGEST = 65504.0  # float16's largest number
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


class Merged:
    """The weights of a base with an adapter's change added, computed where they are read. It is a Weights (checkpoint.py)."""

    def __init__(self, base: Weights, adapter: Changes) -> None:
        self.shapes = base.shapes
        self._base, self._adapter = base, adapter

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Rows of base + (alpha / r)·B·A. Raises ModelError for numbers beyond what 16 bits hold, or that are none."""
        rows = self._base.read(name, start, stop)
        if name in self._adapter.factors:
            a, b = self._adapter.factors[name]
            rows += (self._adapter.scale * b[start:stop]) @ a
        least, largest = float(rows.min()), float(rows.max())
        if not (least >= -LARGEST and largest <= LARGEST):  # also true for a NaN
            raise ModelError(
                f"{name} reaches {max(-least, largest):g} after merging, which 16-bit numbers cannot hold",
                "the training diverged: train again with a smaller --lr",
            )
        return rows


def merged(adapter: Path, progress: Progress | None = None, offline: bool = False) -> Model:
    """The model that base + (alpha / r)·B·A is, for whoever writes it: nothing is computed before it is read.

    LoRA: Hu et al., 2021, arXiv:2106.09685, section 4.1. offline: a base that is not on this machine may not be downloaded.
    Raises InputError and ModelError (an adapter or base that cannot be merged).
    """
    parts = read_changes(adapter, offline, progress)
    base = base_alone(adapter, parts)
    return replace(base, weights=Merged(base.weights, parts))


def base_alone(adapter: Path, parts: Changes) -> Model:
    """The base of an adapter, unchanged, with the words and the template that the adapter was trained with.

    Raises InputError and ModelError (a base that nothing can be added to, or that the adapter does not fit).
    """
    tokenizer = adapter if (adapter / "tokenizer.json").is_file() else parts.base
    if not (tokenizer / "tokenizer.json").is_file():
        raise ModelError(f"neither {adapter} nor {parts.base} has a tokenizer.json", "train again: blogtwin finetune")
    config, weights = _config(parts.base), Checkpoint(parts.base)
    _check_fit(parts, weights)
    return Model(parts.base, config, weights, tokenizer, TEMPLATES[parts.card.template].jinja)


def merge(adapter: Path, into: Path, progress: Progress | None = None, offline: bool = False) -> Path:
    """Write the merged model into the folder `into`, which appears whole or not at all: for whom a GGUF does not serve.

    Memory: some 0.1 GB, whatever the model's size. Raises what `merged` raises, and OutputError (a full disk).
    """
    model = merged(adapter, progress, offline)
    shapes = model.weights.shapes
    with atomic.open_folder(into) as folder:
        with (progress or Silent()).task("Merging", sum(map(prod, shapes.values())), "weights") as task:
            write_float16(folder / "model.safetensors", shapes, _float16(model.weights, task.advance))
        text = json.dumps(model.config, indent=2, sort_keys=True) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        _copy_tokenizer(model, folder)
    return into


def _float16(weights: Weights, advance: Callable[[float], None]) -> Iterator[np.ndarray]:
    def rows(name: str, start: int, stop: int) -> np.ndarray:
        return encode(weights.read(name, start, stop), "F16")

    pieces = [(name, *piece) for name, shape in weights.shapes.items() for piece in blocks(shape)]
    for numbers in in_order(partial(rows, *piece) for piece in pieces):
        yield numbers
        advance(numbers.size // 2)


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


def _copy_tokenizer(model: Model, folder: Path) -> None:
    for name in _TOKENIZER_FILES:
        if (model.tokenizer / name).is_file():
            shutil.copyfile(model.tokenizer / name, folder / name)
    settings = folder / "tokenizer_config.json"
    if settings.is_file():  # an older template inside this file must not contradict ours
        kept = {key: value for key, value in read_json(settings, "names of tokens").items() if key != "chat_template"}
        settings.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(model.jinja, encoding="utf-8", newline="")
    if (model.folder / "generation_config.json").is_file():
        shutil.copyfile(model.folder / "generation_config.json", folder / "generation_config.json")
