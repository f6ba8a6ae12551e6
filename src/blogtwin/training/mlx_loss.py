"""What is made small in MLX: the log-probability of answers, and the losses made of it. Heavy, as mlx_model is.

The vocabulary's logits are computed for the answer's tokens alone, some at a time, and never kept: for a vocabulary of 128,000
those of one sequence, and what is computed from them, would take more memory than the model.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from blogtwin.training.rows import Row

BLOCK = 128  # answer tokens; MLX works on about eight such blocks at once (measured: 0.5 GiB in all for 128,000 words)


def log_probability(model: Any, row: Row, learns: bool = True) -> Any:
    """Σ log p of the answer's tokens, each given all that stands before it, in nats: a scalar, float32.

    learns: whether the gradient will be asked for; without it the pass over the vocabulary costs half.
    """
    hidden = model.model(mx.array([row.tokens[:-1]]))[0, row.prompt - 1 :]
    output = model.model.embed_tokens.weight if model.args.tie_word_embeddings else model.lm_head.weight
    return _summed(hidden, output, mx.array(row.tokens[row.prompt :]), learns)


def _summed(hidden: Any, output: Any, targets: Any, learns: bool) -> Any:
    """Σ log softmax(hidden · outputᵀ)[target], with the gradient by `hidden` taken in the same pass.

    hidden: (n, width). output: (words, width), which does not learn. targets: (n,). The gradient is output[target] - p · output,
    so the logits of a block are needed once, and not again on the way back.
    """

    @mx.custom_function
    def forward(hidden: Any) -> Any:
        total, slopes = mx.array(0.0), [mx.zeros_like(hidden[:0])]
        for start in range(0, hidden.shape[0], BLOCK):
            rows, wanted = hidden[start : start + BLOCK], targets[start : start + BLOCK]
            # Block after block: without this the logits of all would be held at once.
            (rows,) = mx.depends([rows], [total, slopes[-1]])
            logits = (rows @ output.T).astype(mx.float32)
            scale = mx.logsumexp(logits, axis=-1, keepdims=True)
            total = total + (mx.take_along_axis(logits, wanted[:, None], axis=-1) - scale).sum()
            if learns:
                slopes.append(output[wanted] - mx.exp(logits - scale).astype(output.dtype) @ output)
        return total, mx.concatenate(slopes)

    @forward.vjp
    def backward(_: Any, cotangents: Any, results: Any) -> Any:
        return (cotangents[0] * results[1]).astype(hidden.dtype)

    results: Any = forward(hidden)
    return results[0]
