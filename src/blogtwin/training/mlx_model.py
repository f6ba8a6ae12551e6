"""A base model and its adapter in MLX, Apple's array library. Heavy: imported only when training begins.

In: a Hugging Face folder, and an adapter's weights as PEFT names them. Out: a model of mlx-lm whose adapter alone learns, and
its weights as PEFT names them. PEFT's `lora_A.weight` is the transpose of MLX's `lora_a`, so the way there and back is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten
from mlx_lm.tuner.lora import LoRALinear
from mlx_lm.utils import load_model
from safetensors import numpy as safetensors
from transformers import AutoConfig

from blogtwin import adapter_folder
from blogtwin.errors import ModelError

_PREFIX = "base_model.model."  # PEFT's, before each name of the base
_SIDES = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight"}


def load(folder: Path, bf16: bool) -> Any:
    """The model in `folder`, all of it frozen, in bfloat16 or float32. Raises ModelError when it does not load."""
    try:
        model, _ = load_model(folder, lazy=True, model_config=_config(folder))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as fault:
        raise ModelError(
            f"the base model in {folder} does not load: {(str(fault).strip() or repr(fault)).splitlines()[0]}",
            "fetch or copy that model again, or choose another with --base-model",
        ) from fault
    model.set_dtype(mx.bfloat16 if bf16 else mx.float32)
    mx.eval(model.parameters())
    model.freeze()
    return model


def _config(folder: Path) -> dict[str, Any]:
    """config.json with the defaults of transformers filled in.

    mlx-lm's own differ (tied embeddings), and its Llama does not read where transformers 5 writes the rotary base: Llama 3
    would be given 10,000 instead of 500,000, and nothing would say so.
    """
    config: dict[str, Any] = AutoConfig.from_pretrained(folder, local_files_only=True).to_dict()
    rotary = config.get("rope_parameters") or {}
    return config | {"rope_theta": rotary.get("rope_theta", 10_000.0), "rope_scaling": rotary or None}


def add_adapter(model: Any, rank: int, alpha: float, seed: int) -> None:
    """A fresh adapter that changes nothing yet, float32, on every linear layer but the output: PEFT's "all-linear".

    A is uniform in ±1/√inputs, as PEFT draws it, and B is 0 (Hu et al., 2021, arXiv:2106.09685, section 4.1).
    """
    layers, adapted = linear_layers(model), []
    for (name, layer), key in zip(layers, mx.random.split(mx.random.key(seed), len(layers)), strict=True):
        lora = LoRALinear.from_base(layer, r=rank, scale=alpha / rank, dropout=0.0)
        inputs = layer.weight.shape[1]
        lora.lora_a = mx.random.uniform(-(inputs**-0.5), inputs**-0.5, (inputs, rank), key=key)
        lora.linear.freeze()
        adapted.append((name, lora))
    model.update_modules(tree_unflatten(adapted))
    mx.eval(model.trainable_parameters())


def linear_layers(model: Any) -> list[tuple[str, Any]]:
    """The layers that get an adapter, by their name in the base, in the order of their names."""
    found = [
        (name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and name != "lm_head"
    ]
    return sorted(found, key=lambda pair: pair[0])


def adapters(model: Any) -> dict[str, Any]:
    """The adapters of a model, by the name of the layer they change."""
    return dict(sorted((name, layer) for name, layer in model.named_modules() if isinstance(layer, LoRALinear)))


def to_peft(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The adapter's weights, float32, by PEFT's names: A of shape (r, inputs), B of shape (outputs, r)."""
    return {
        f"{_PREFIX}{name}.{theirs}": as_numpy(getattr(lora, ours).T)
        for name, lora in adapters(model).items()
        for ours, theirs in _SIDES.items()
    }


def as_numpy(value: Any) -> np.ndarray[Any, Any]:
    """A copy in numpy, in one piece, as safetensors wants it."""
    return np.array(value, order="C")


@contextmanager
def weights_of(model: Any, adapter: Path | None) -> Iterator[None]:
    """Give a model the weights of another adapter for a while; None: leave it as it is. Raises as `from_peft`."""
    if adapter is None:
        yield
        return
    own = to_peft(model)
    from_peft(model, safetensors.load_file(adapter / adapter_folder.WEIGHTS))
    try:
        yield
    finally:
        from_peft(model, own)


def from_peft(model: Any, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Give a model with an adapter these weights instead. Raises ModelError when they are those of another base or rank."""
    wanted = {name: value.shape for name, value in to_peft(model).items()}
    given = {name: value.shape for name, value in weights.items()}
    if given != wanted:
        name = min(dict(given.items() ^ wanted.items()))
        raise ModelError(
            f"the adapter to go on from has {given.get(name, 'nothing')} as {name}, and here it is {wanted.get(name, 'nothing')}",
            "it belongs to another base or rank: train a new one with: blogtwin finetune",
        )
    for name, lora in adapters(model).items():
        for ours, theirs in _SIDES.items():
            setattr(
                lora, ours, mx.array(np.ascontiguousarray(weights[f"{_PREFIX}{name}.{theirs}"].T, dtype=np.float32))
            )
    mx.eval(model.trainable_parameters())


@contextmanager
def recomputed(model: Any) -> Iterator[None]:
    """Keep only each layer's input for the backward pass, and compute the rest again (Chen et al., 2016, arXiv:1604.06174).

    mlx-lm's own grad_checkpoint does the same and never undoes it, so that a second run would do it twice.
    """
    kind = type(model.layers[0])
    plain = kind.__call__

    def again(layer: Any, *given: Any, **named: Any) -> Any:
        def forward(parameters: Any, *given: Any, **named: Any) -> Any:
            layer.update(parameters)
            return plain(layer, *given, **named)

        return mx.checkpoint(forward)(layer.trainable_parameters(), *given, **named)

    kind.__call__ = again
    try:
        yield
    finally:
        kind.__call__ = plain
