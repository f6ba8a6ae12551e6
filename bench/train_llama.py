"""A Llama with LoRA in plain torch: the model of the hand-written loop in train_loop.py, with no framework beneath it.

In: a folder in the Hugging Face layout. Out: a module of which only the adapters learn. It reads one row at a time, so there
is no padding and no mask. Formulas: Touvron et al., 2023 (Llama); Hu et al., 2021 (LoRA); Llama 3's scaled rotary positions.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional


class Adapted(torch.autograd.Function):
    """x W' + s (x A') B', keeping only x and x A' for the way back; A and B are float32, the product is in x's numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        narrow = x @ a.to(x.dtype).T
        y = torch.mm(x, weight.T)
        y.addmm_(narrow, b.to(x.dtype).T, alpha=scale)
        ctx.save_for_backward(x, weight, a, b, narrow)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, weight, a, b, narrow = ctx.saved_tensors
        back = torch.mm(dy, b.to(dy.dtype)).mul_(ctx.scale)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = torch.mm(dy, weight).addmm_(back, a.to(dy.dtype))
        da = torch.mm(back.T, x).to(a.dtype)
        db = torch.mm(dy.T, narrow).mul_(ctx.scale).to(b.dtype)
        return dx, None, da, db, None


class Linear(nn.Module):
    """A frozen weight and its adapter."""

    def __init__(self, weight: Tensor, rank: int, alpha: int) -> None:
        super().__init__()
        self.weight, self.scale = weight, alpha / rank
        self.a = nn.Parameter(torch.empty(rank, weight.shape[1]))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = Adapted.apply(x, self.weight, self.a, self.b, self.scale)
        return y


class Layer(nn.Module):
    """Attention, then the gated network, each behind a norm; x: (tokens, width)."""

    def __init__(self, weights: dict[str, Tensor], config: dict[str, Any], rank: int, alpha: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.eps = config["rms_norm_eps"]
        self.norms = [weights["input_layernorm.weight"], weights["post_attention_layernorm.weight"]]
        for name in ("q", "k", "v", "o"):
            setattr(self, name, Linear(weights[f"self_attn.{name}_proj.weight"], rank, alpha))
        for name in ("gate", "up", "down"):
            setattr(self, name, Linear(weights[f"mlp.{name}_proj.weight"], rank, alpha))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        h = functional.rms_norm(x, x.shape[-1:], self.norms[0], self.eps)
        q = turned(self.q(h).view(len(x), self.heads, -1).transpose(0, 1), cos, sin)
        k = turned(self.k(h).view(len(x), self.kv_heads, -1).transpose(0, 1), cos, sin)
        v = self.v(h).view(len(x), self.kv_heads, -1).transpose(0, 1)
        seen = functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)[0]
        x = x + self.o(seen.transpose(0, 1).reshape(len(x), -1))
        h = functional.rms_norm(x, x.shape[-1:], self.norms[1], self.eps)
        out: Tensor = x + self.down(functional.silu(self.gate(h)) * self.up(h))
        return out


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions; x: (heads, tokens, head width), its halves are the pairs' two sides."""
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat((-right, left), -1) * sin


class Llama(nn.Module):
    """tokens (n,) → what stands before the output layer (n, width)."""

    def __init__(self, folder: Path, dtype: torch.dtype, rank: int, alpha: int) -> None:
        super().__init__()
        config = json.loads((folder / "config.json").read_text("utf-8"))
        weights = {name: weight.to(dtype) for name, weight in load_file(folder / "model.safetensors").items()}
        self.embedding = weights["model.embed_tokens.weight"]
        self.head = weights.get("lm_head.weight", self.embedding)
        self.norm, self.eps, self.config = weights["model.norm.weight"], config["rms_norm_eps"], config
        layers = []
        for number in range(config["num_hidden_layers"]):
            start = f"model.layers.{number}."
            own = {name.removeprefix(start): weight for name, weight in weights.items() if name.startswith(start)}
            layers.append(Layer(own, config, rank, alpha))
        self.layers = nn.ModuleList(layers)
        width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        self.cos, self.sin = positions(config, width, dtype)

    def forward(self, tokens: Tensor, run: Any = None) -> Tensor:
        x = functional.embedding(tokens, self.embedding)
        cos, sin = self.cos[: len(tokens)], self.sin[: len(tokens)]
        for layer in self.layers:
            x = run(layer, x, cos, sin) if run else layer(x, cos, sin)
        return functional.rms_norm(x, x.shape[-1:], self.norm, self.eps)


def positions(config: dict[str, Any], width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (context, width)."""
    rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"], **(config.get("rope_scaling") or {})}
    rate = rope["rope_theta"] ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
    if rope.get("rope_type") == "llama3":
        turns = rope["original_max_position_embeddings"] * rate / (2 * math.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        smooth = ((turns - low) / (high - low)).clamp(0, 1)
        rate = rate * (smooth + (1 - smooth) / rope["factor"])
    angles = torch.arange(min(config["max_position_embeddings"], 4096))[:, None] * torch.cat((rate, rate))
    return angles.cos().to(dtype), angles.sin().to(dtype)
