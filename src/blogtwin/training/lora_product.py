"""A linear layer and its LoRA adapter as one product with a way back of its own. Heavy: imports torch.

In: a PeftModel with one adapter that learns, without dropout. Out: the same model, which computes the same and keeps less: PEFT's
own way converts the layer's input to the adapter's float32, adds a float32 product as wide as the output, and keeps both.
"""

from __future__ import annotations

import types
from itertools import cycle
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

_ADAPTER = "default"  # PEFT's name for the one that learns


def install(model: Any, widened: bool = False) -> None:
    """Let every adapted linear layer of the model compute so.

    widened: in float32, though the base is held in bfloat16; whatever its embedding gives is converted, and each weight then.
    """
    if widened:
        model.get_input_embeddings().register_forward_hook(_widen)
    for module in model.modules():
        if isinstance(module, Linear):
            module.forward = types.MethodType(_forward, module)


def worth_keeping() -> Any:
    """For torch's checkpointing, asked once a layer: which results are kept for the way back, all others being made again.

    Kept is attention and, in every third layer, the products of frozen weights that are wider than their input: the rest of
    a layer costs little to make again, and is two thirds of the memory. Measured with a Llama of 1.24 billion parameters in
    bfloat16 and rows of 1,024 tokens: 4.34 GB and 47 tokens/s; with the wide products of every layer 4.68 GB and 53; with
    all that is computed 5.93 GB and 54.
    """
    return create_selective_checkpoint_contexts(next(_policies))


def wide_products_too() -> Any:
    """The same with the wide products of every layer, for processors on which products are dear."""
    return create_selective_checkpoint_contexts(_attention_and_wide_products)


def _widen(_: Any, __: Any, embedded: torch.Tensor) -> torch.Tensor:
    return embedded.float()


def _attention(_: Any, operation: Any, *__: Any, **___: Any) -> CheckpointPolicy:
    return _keep(operation is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default)


def _attention_and_wide_products(context: Any, operation: Any, *given: Any, **__: Any) -> CheckpointPolicy:
    """Wide: with more columns than the input has. The layer's last product is its result, which nobody asks for again."""
    if operation is torch.ops.aten.addmm.default:
        return _keep(given[2].shape[1] > given[2].shape[0])
    return _attention(context, operation)


def _keep(dear: bool) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if dear else CheckpointPolicy.PREFER_RECOMPUTE


_policies = cycle((_attention, _attention, _attention_and_wide_products))


def _forward(self: Any, x: torch.Tensor) -> torch.Tensor:
    a, b = self.lora_A[_ADAPTER].weight, self.lora_B[_ADAPTER].weight
    flat = x.reshape(-1, x.shape[-1])
    result: torch.Tensor = _Product.apply(flat, self.base_layer.weight, a, b, self.scaling[_ADAPTER])
    if self.base_layer.bias is not None:
        result = result + self.base_layer.bias.to(x.dtype)
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
