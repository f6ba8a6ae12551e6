"""The twin as it was trained: base and adapter in transformers, unmerged, to judge what was made of it.

In: an adapter folder, its base, and tokens. Out: at each place of an answer the token that this model would have written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError

_TIES = 8  # tokens at most that are taken for equally likely
_PIECE = 256  # tokens of a prompt that are read at once: what a layer computes of them stays small


@dataclass(frozen=True)
class Choice:
    """At one place of an answer. best: the token that the model would write. ties: that and the others that rounding can put
    before it, likeliest first. gap: how many nats likelier it is than what stands there; 0 where it is what stands there.

    near: whether a gap so small is rounding's.
    """

    best: int
    ties: tuple[int, ...]
    gap: float
    near: bool


class Reference:
    """The adapter on its base. bf16: whether weights are held in bfloat16, else in float32.

    Raises ModelError when they do not load. Memory is that of the base; it is given back when nothing refers to this.
    """

    def __init__(self, base: Path, adapter: Path, bf16: bool) -> None:
        self._model = load(base, adapter, bf16).get_base_model()

    def read(self, prompt: Sequence[int]) -> Reading:
        """The model with this prompt before it: read once, however many answers are laid against it."""
        return Reading(self._model, prompt)


class Reading:
    """One prompt, read."""

    def __init__(self, model: Any, prompt: Sequence[int]) -> None:
        import torch
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache()
        self._last = prompt[-1]  # fed with every answer, so that its first place has logits
        with torch.inference_mode():
            for start in range(0, len(prompt) - 1, _PIECE):
                self._feed(prompt[start : min(start + _PIECE, len(prompt) - 1)])
        self._length = len(prompt) - 1

    def choices(self, answer: Sequence[int], behind: Sequence[int] = (), rounding: float = 0.0) -> list[Choice]:
        """For every place of `answer`, and for the one behind it, where one of `behind` is taken to stand.

        With nothing in `behind` the last gap is 0. rounding: the share of the standard deviation of all logits of a place by
        which rounding moves one against another.
        """
        import torch

        with torch.inference_mode():
            self._forget()
            logits = self._model.get_output_embeddings()(self._feed([self._last, *answer])).float()
            likeliest = logits.topk(min(_TIES, logits.shape[-1]))
            best = likeliest.values[:, 0]
            there = [*(row[token] for row, token in zip(logits, answer, strict=False))]
            there.append(logits[-1, list(behind)].max() if behind else best[-1])
            gaps, room = best - torch.stack(there), rounding * logits.std(-1)
            ties = (best[:, None] - likeliest.values < room[:, None]).sum(-1).clamp(min=1)
            rows = (likeliest.indices.tolist(), ties.tolist(), gaps.tolist(), (gaps < room).tolist())
        return [Choice(row[0], tuple(row[:many]), gap, near) for row, many, gap, near in zip(*rows, strict=True)]

    def go_on(self, answer: Sequence[int], most: int, ends: Collection[int]) -> list[int]:
        """Up to `most` tokens that the model itself writes behind `answer`, the likeliest each time, without the end."""
        import torch

        written: list[int] = []
        feed = [self._last, *answer]
        with torch.inference_mode():
            self._forget()
            while len(written) < most:
                token = int(self._model.get_output_embeddings()(self._feed(feed)[-1]).argmax())
                if token in ends:
                    break
                written.append(token)
                feed = [token]
        return written

    def _feed(self, tokens: Sequence[int]) -> Any:
        """The last layer's states for `tokens` behind what was fed before, shape (tokens, width)."""
        import torch

        out = self._model.base_model(
            input_ids=torch.tensor([list(tokens)]), past_key_values=self._cache, use_cache=True
        )
        return out.last_hidden_state[0]

    def _forget(self) -> None:
        """Back to the prompt."""
        more = self._cache.get_seq_length() - self._length
        if more:
            self._cache.crop(-more)


def load(base: Path, adapter: Path, bf16: bool) -> Any:
    """PEFT's model of `adapter` on `base`, in bfloat16 or float32. Raises ModelError."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # the command line draws its own
    dtype = torch.bfloat16 if bf16 else torch.float32
    try:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, local_files_only=True, use_safetensors=True)
        return PeftModel.from_pretrained(model, str(adapter)).eval()
    except (OSError, ValueError, RuntimeError, KeyError) as fault:
        raise ModelError(
            f"{adapter} does not load on its base {base}: {str(fault).strip().splitlines()[0]}",
            f"make it again with: blogtwin finetune --output {adapter}",
        ) from fault
