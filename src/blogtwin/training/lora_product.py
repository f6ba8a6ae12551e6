"""A linear layer and its LoRA adapter as one product with a way back of its own. Heavy: imports torch.

In: a PeftModel with one adapter that learns, without dropout. Out: the same model, which computes the same and keeps less: PEFT's
own way converts the layer's input to the adapter's float32, adds a float32 product as wide as the output, and keeps both.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

_ADAPTER = "default"  # PEFT's name for the one that learns


def install(model: Any) -> None:
    """Let every adapted linear layer of the model compute so."""
    for module in model.modules():
        if isinstance(module, Linear) and module.base_layer.bias is None:
            module.forward = types.MethodType(_forward, module)


def worth_keeping() -> Callable[[], Any]:
    """For torch's checkpointing: which results of a transformer layer are kept for the way back, all others made again.

    Kept are attention and the products of frozen weights that are at least as wide as their input: they take nine tenths of
    the time and a third of the memory. The last product is the layer's own result, which nothing on the way back asks for.
    """
    return partial(create_selective_checkpoint_contexts, _policy)


def _policy(_: Any, operation: Any, *given: Any, **__: Any) -> CheckpointPolicy:
    attention = operation is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    dear = attention or (operation is torch.ops.aten.addmm.default and given[2].shape[1] > given[2].shape[0])
    return CheckpointPolicy.MUST_SAVE if dear else CheckpointPolicy.PREFER_RECOMPUTE


def _forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    a, b = self.lora_A[_ADAPTER].weight, self.lora_B[_ADAPTER].weight
    flat = x.reshape(-1, x.shape[-1])
    result: torch.Tensor = _Product.apply(flat, self.base_layer.weight, a, b, self.scaling[_ADAPTER])
    return result.view(*x.shape[:-1], -1)


class _Product(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
    """x W' + s (x A') B' (Hu et al., 2021, arXiv:2106.09685), in x's numbers; W may be held in fewer bits.

    x: (tokens, in); weight: (out, in), frozen; a: (rank, in); b: (out, rank). Of what is computed, only x A' is kept.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: float) -> Any:
        narrow = x @ a.to(x.dtype).T
        ctx.save_for_backward(x, weight, a, b, narrow)
        ctx.scale = scale
        return torch.addmm(narrow @ (b * scale).to(x.dtype).T, x, weight.to(x.dtype).T)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> Any:
        x, weight, a, b, narrow = ctx.saved_tensors
        back = slope @ (b * ctx.scale).to(slope.dtype)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = torch.mm(slope, weight.to(slope.dtype)).addmm_(back, a.to(slope.dtype))
        to_a = (back.T @ x).to(a.dtype)
        to_b = (slope.T @ narrow).to(b.dtype).mul_(ctx.scale)
        return to_x, None, to_a, to_b, None
