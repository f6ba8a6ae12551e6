"""The loss of the answers' tokens alone, without the logits of anything else in memory. Heavy: imports torch.

In: a model whose output layer does not learn. Out: the same model, which makes its loss this way when it is given labels. Most
trainers compute the logits of prompt and answer, keep them for the way back, and go over them again for figures nobody asked for.
"""

from __future__ import annotations

import functools
import types
from typing import Any

import torch
from transformers.modeling_outputs import CausalLMOutputWithPast

from blogtwin.training.rows import IGNORED

_TOKENS = 128  # whose logits are in memory at a time: 66 MB for a vocabulary of 128,256
_WORDS = 16_384  # of the vocabulary, converted at a time where the weights are held in fewer bits


def install(model: Any) -> None:
    """Let this causal model answer labels with the loss alone; without labels it works as before."""
    before = model.forward

    @functools.wraps(before.__func__)
    def forward(
        self: Any, *given: Any, labels: torch.Tensor | None = None, num_items_in_batch: Any = None, **more: Any
    ) -> Any:
        if labels is None:
            return before(*given, **more)
        hidden = self.base_model(*given, **{**more, "use_cache": False}).last_hidden_state[:, :-1]
        learned = labels[:, 1:] != IGNORED
        total = _Loss.apply(hidden[learned], self.get_output_embeddings().weight, labels[:, 1:][learned])
        return CausalLMOutputWithPast(
            loss=total / (learned.sum() if num_items_in_batch is None else num_items_in_batch)
        )

    model.forward = types.MethodType(forward, model)


class _Loss(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
    """Summed cross-entropy, nats. hidden: (tokens, width); head: (vocabulary, width), frozen; wanted: (tokens,).

    As the head is frozen, the gradient is softmax less the wanted token, times the head: it is made on the way forth, so the
    logits are computed once, and not again on the way back.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        gradient = torch.zeros_like(hidden, dtype=torch.float32) if ctx.needs_input_grad[0] else None
        for first in range(0, len(wanted), _TOKENS):
            part, goal = hidden[first : first + _TOKENS], wanted[first : first + _TOKENS, None]
            scores = torch.empty(len(part), len(head), dtype=torch.float32, device=hidden.device)
            for word in range(0, len(head), _WORDS):
                scores[:, word : word + _WORDS] = part @ head[word : word + _WORDS].to(part.dtype).T
            scores -= scores.amax(-1, keepdim=True)
            total -= scores.gather(1, goal).sum()
            mass = scores.exp_().sum(-1, keepdim=True)
            total += mass.log().sum()
            if gradient is not None:
                scores /= mass
                scores.scatter_add_(1, goal, torch.full_like(mass, -1.0))
                for word in range(0, len(head), _WORDS):
                    slope = scores[:, word : word + _WORDS].to(part.dtype)
                    gradient[first : first + _TOKENS] += slope @ head[word : word + _WORDS].to(part.dtype)
        if gradient is not None:
            ctx.save_for_backward(gradient.to(hidden.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * scale.to(gradient.dtype), None, None
