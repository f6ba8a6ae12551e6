"""How surprised a model is by the author's held-out answers: the twin, its base, and the base shown three of the author's posts.

In: an adapter folder, its base, and tokenized answers. Out: nats an answer, by each of them. The base is loaded once; with
the adapter switched off it is the base again, and with real posts before its prompt it is the few-shot base.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blogtwin.evaluation.reference import load
from blogtwin.evaluation.verdict import Side
from blogtwin.progress import Progress

_BATCH_TOKENS = 2048  # padding included; enough to keep a processor busy, and little memory
_LOGIT_ROWS = 128  # positions whose logits stand in memory together: 128 x 128,000 x 4 bytes are 65 MB


@dataclass(frozen=True)
class HeldOut:
    """One held-out answer. tokens: prompt and answer, end marker included; the first `prompt` of them are not counted.

    words: how many the answer has, so that models with different tokenizers can be compared. kind: of the example.
    shown: the same question behind three real posts, for the few-shot base; it ends with the same answer tokens.
    """

    post_id: str
    tokens: list[int]
    prompt: int
    words: int
    kind: str = ""
    shown: list[int] | None = None

    @property
    def counted(self) -> int:
        """Tokens of the answer."""
        return len(self.tokens) - self.prompt


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihood of each answer in nats, its tokens added up, in the order of `answers`.

    few_shot: of the base shown three real posts; None when no answer had them.
    """

    answers: Sequence[HeldOut]
    base: list[float]
    twin: list[float]
    few_shot: list[float] | None = None

    def perplexities(self) -> dict[str, float]:
        """exp(mean loss) a token and a word, of twin and base, and of the few-shot base when it was asked.

        Jelinek et al., 1977, Journal of the Acoustical Society of America 62(S1).
        """
        tokens = sum(answer.counted for answer in self.answers)
        words = max(1, sum(answer.words for answer in self.answers))
        sides = {"": self.twin, "_base": self.base} | ({"_few_shot": self.few_shot} if self.few_shot else {})
        return {
            f"perplexity{unit}{side}": _exp(sum(nats) / many)
            for unit, many in (("", tokens), ("_per_word", words))
            for side, nats in sides.items()
        }

    def of_kinds(self) -> dict[str, Losses]:
        """Kind of example → its part of the losses, in the order in which the kinds first occur."""
        places: dict[str, list[int]] = {}
        for place, answer in enumerate(self.answers):
            places.setdefault(answer.kind, []).append(place)
        return {kind: self._at(found) for kind, found in places.items()}

    def _at(self, places: Sequence[int]) -> Losses:
        return Losses(
            [self.answers[place] for place in places],
            [self.base[place] for place in places],
            [self.twin[place] for place in places],
            [self.few_shot[place] for place in places] if self.few_shot else None,
        )


def sides(answers: Sequence[HeldOut]) -> dict[Side, Sequence[HeldOut]]:
    """What each side reads; without the few-shot base where no answer has `shown`.

    An answer that leaves no room for posts is asked without them, as a user would have to.
    """
    found: dict[Side, Sequence[HeldOut]] = {"twin": answers, "base": answers}
    if any(answer.shown for answer in answers):
        found["few-shot"] = [
            replace(answer, tokens=answer.shown, prompt=len(answer.shown) - answer.counted) if answer.shown else answer
            for answer in answers
        ]
    return found


def answer_losses(
    base: Path,
    adapter: Path,
    answers: Sequence[HeldOut],
    bf16: bool,
    threads: int | None,
    progress: Progress,
    known: Mapping[Side, list[float]] | None = None,
) -> Losses:
    """What twin and base lose on each answer, and the few-shot base where an answer has `shown`.

    bf16: whether weights are held in bfloat16, else in float32. base: the folder of the base model. known: losses of sides
    that were measured before, and are not again. Raises ModelError for a base or an adapter that does not load.
    """
    import torch

    losses: dict[Side, list[float]] = dict(known or {})
    wanted = {side: rows for side, rows in sides(answers).items() if side not in losses}
    if not wanted:
        return Losses(answers, losses["base"], losses["twin"], losses.get("few-shot"))
    if threads:
        torch.set_num_threads(threads)
    model = load(base, adapter, bf16)
    total = sum(len(row.tokens) for rows in wanted.values() for row in rows)
    with torch.inference_mode(), progress.task("Perplexity of base and twin", total, "tokens") as task:
        for side, rows in wanted.items():
            nats = _nats if side == "twin" else _without_adapter
            losses[side] = [0.0] * len(rows)
            for batch in _batches(rows):
                asked = [rows[index] for index in batch]
                for index, found in zip(batch, nats(model, asked), strict=True):
                    losses[side][index] = found
                task.advance(sum(len(row.tokens) for row in asked))
    return Losses(answers, losses["base"], losses["twin"], losses.get("few-shot"))


def _exp(mean: float) -> float:
    """exp, with the largest number a report can hold in place of an overflow: untrained models reach it a word."""
    return math.exp(min(mean, 700.0))


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
