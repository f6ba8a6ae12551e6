"""How surprised a model is by the author's held-out answers: the twin, and its base beside it.

In: an adapter folder, its base, and tokenized answers. Out: nats an answer, by twin and by base. The base is loaded once;
with the adapter switched off it is the base again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogtwin.errors import ModelError
from blogtwin.progress import Progress

_BATCH_TOKENS = 2048  # padding included; enough to keep a processor busy, and little memory
_LOGIT_ROWS = 128  # positions whose logits stand in memory together: 128 x 128,000 x 4 bytes are 65 MB


@dataclass(frozen=True)
class HeldOut:
    """One held-out answer. tokens: prompt and answer, end marker included; the first `prompt` of them are not counted.

    words: how many the answer has, so that models with different tokenizers can be compared.
    """

    post_id: str
    tokens: list[int]
    prompt: int
    words: int

    @property
    def counted(self) -> int:
        """Tokens of the answer."""
        return len(self.tokens) - self.prompt


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihood of each answer in nats, its tokens added up, in the order of `answers`."""

    answers: Sequence[HeldOut]
    base: list[float]
    twin: list[float]

    def perplexities(self) -> dict[str, float]:
        """exp(mean loss) a token and a word, of twin and base.

        Jelinek et al., 1977, Journal of the Acoustical Society of America 62(S1).
        """
        tokens = sum(answer.counted for answer in self.answers)
        words = max(1, sum(answer.words for answer in self.answers))
        return {
            "perplexity": _exp(sum(self.twin) / tokens),
            "perplexity_base": _exp(sum(self.base) / tokens),
            "perplexity_per_word": _exp(sum(self.twin) / words),
            "perplexity_per_word_base": _exp(sum(self.base) / words),
        }


def answer_losses(
    base: Path, adapter: Path, answers: Sequence[HeldOut], bf16: bool, threads: int | None, progress: Progress
) -> Losses:
    """What twin and base lose on each answer. bf16: whether weights are held in bfloat16, else in float32.

    base: the folder of the base model. Raises ModelError for a base or an adapter that does not load.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    model = _load(base, adapter, bf16)
    losses: dict[str, list[float]] = {"twin": [0.0] * len(answers), "base": [0.0] * len(answers)}
    total = sum(len(answer.tokens) for answer in answers)
    with torch.inference_mode(), progress.task("Perplexity of base and twin", total, "tokens") as task:
        for batch in _batches(answers):
            rows = [answers[index] for index in batch]
            for side, found in (("twin", _nats(model, rows)), ("base", _without_adapter(model, rows))):
                for index, nats in zip(batch, found, strict=True):
                    losses[side][index] = nats
            task.advance(sum(len(row.tokens) for row in rows))
    return Losses(answers, losses["base"], losses["twin"])


def _exp(mean: float) -> float:
    """exp, with the largest number a report can hold in place of an overflow: untrained models reach it a word."""
    return math.exp(min(mean, 700.0))


def _load(base: Path, adapter: Path, bf16: bool) -> Any:
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


def _batches(answers: Sequence[HeldOut]) -> Iterator[list[int]]:
    """Indices of answers of about one length, as many as fit into _BATCH_TOKENS with their padding; longest first.

    A machine that has too little memory says so at the beginning.
    """
    batch: list[int] = []
    for index in sorted(range(len(answers)), key=lambda index: (-len(answers[index].tokens), index)):
        if batch and len(answers[batch[0]].tokens) * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _without_adapter(model: Any, rows: Sequence[HeldOut]) -> list[float]:
    with model.disable_adapter():
        return _nats(model, rows)


def _nats(model: Any, rows: Sequence[HeldOut]) -> list[float]:
    """The loss of each row's answer. Logits are made where an answer token is predicted and nowhere else.

    Most of a vocabulary's cost is in positions that nobody asks about: a batch of whole logits of Llama 3 is a gigabyte.
    """
    import torch
    from torch.nn import functional

    longest = max(len(row.tokens) for row in rows)
    # Padding stands on the right, where causal attention never looks back from; its number can be any token.
    tokens = torch.tensor([row.tokens + [0] * (longest - len(row.tokens)) for row in rows])
    mask = torch.tensor([[1] * len(row.tokens) + [0] * (longest - len(row.tokens)) for row in rows])
    causal = model.get_base_model()
    hidden = causal.base_model(input_ids=tokens, attention_mask=mask, use_cache=False).last_hidden_state
    output = causal.get_output_embeddings()
    out = []
    for row, states in zip(rows, hidden, strict=True):
        wanted = torch.tensor(row.tokens[row.prompt :])
        states = states[row.prompt - 1 : len(row.tokens) - 1]
        nats = 0.0
        for start in range(0, len(wanted), _LOGIT_ROWS):
            logits = output(states[start : start + _LOGIT_ROWS]).float()
            nats += float(functional.cross_entropy(logits, wanted[start : start + _LOGIT_ROWS], reduction="sum"))
        out.append(nats)
    return out
