"""The limit that the sides of bench/train.py are held to: a training loop in plain torch, without any framework.

    python train_loop.py JOB.json

LoRA on every linear layer, AdamW, warm-up and cosine, gradients clipped at 1, the loss on the answers alone, one row at a
time with the gradients of a batch added up. Its model is held to transformers' logits by `bench/train.py --check`.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from train_clock import Clock, job
from train_llama import Llama

_CHUNK = 256  # answer tokens whose logits are in memory at a time


class Loss(torch.autograd.Function):
    """Summed cross-entropy of frozen output weights; the gradient is made on the way forth, so logits are computed once."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        total, gradients = hidden.new_zeros((), dtype=torch.float32), []
        for first in range(0, len(wanted), _CHUNK):
            goal = wanted[first : first + _CHUNK]
            logits = torch.mm(hidden[first : first + _CHUNK], head.T).float()
            likely = torch.log_softmax(logits, -1)
            total += functional.nll_loss(likely, goal, reduction="sum")
            slope = likely.exp_()
            slope[torch.arange(len(goal)), goal] -= 1
            gradients.append(torch.mm(slope.to(head.dtype), head))
        ctx.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> Any:
        return ctx.saved_tensors[0] * scale.to(ctx.saved_tensors[0].dtype), None, None


def main() -> None:
    given = job()
    if given["threads"]:
        torch.set_num_threads(given["threads"])
    torch.manual_seed(7)
    rows = [json.loads(line) for line in Path(given["tokens"]).read_text("utf-8").splitlines()]
    random.Random(7).shuffle(rows)
    model = Llama(Path(given["base"]), torch.bfloat16 if given["bf16"] else torch.float32, rank=16, alpha=32)
    learned = list(model.parameters())
    optimizer = torch.optim.AdamW(learned, lr=given["rate"], weight_decay=0.0, fused=True)
    warm = max(1, round(0.05 * given["steps"]))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / given["steps"]))),
    )
    clock, tokens = Clock(), 0
    for step in range(given["steps"]):
        batch = [rows[(step * given["batch"] + place) % len(rows)] for place in range(given["batch"])]
        answers = sum(len(row["tokens"]) - row["prompt"] for row in batch)
        told = 0.0
        for row in batch:
            numbers = torch.tensor(row["tokens"])
            hidden = model(numbers)[row["prompt"] - 1 : -1]
            loss = Loss.apply(hidden, model.head, numbers[row["prompt"] :]) / answers
            loss.backward()
            told += float(loss.detach())
            tokens += len(numbers)
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        clock.step(tokens, told)
    clock.tell()


if __name__ == "__main__":
    main()
