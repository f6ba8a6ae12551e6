"""The training settings that suit a corpus and a base, each with its reason: plain arithmetic, for what the user left open.

In: how large corpus, base and memory are, and the method. Out: Choices.

The rules follow the field where it has measured, and our own runs (docs/experiments.md: starter with 137 examples, a Llama of
3.5 million parameters with about 550 and 2,044); for bases above that, with blogs, every number here is unmeasured. The
best checkpoint is kept whatever is chosen, so a choice that is somewhat off costs time more than quality.
- Hu et al., 2021, arXiv:2106.09685: the adapter is scaled by alpha / r.
- Dettmers et al., 2023 (QLoRA), arXiv:2305.14314: rank matters little when every layer has an adapter.
- Muennighoff et al., 2023, arXiv:2305.16264: up to four epochs over the same text teach nearly as much as new text.
- Biderman et al., 2024 (LoRA learns less and forgets less), arXiv:2405.09673: the highest rate that stays stable; every layer.
- Schulman et al., 2025 (LoRA without regret, Thinking Machines Lab): with alpha 32 the best rate does not depend on the
  rank, and is ten times that of full fine-tuning or more; batches are better small; a parameter holds about 2 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt

from blogtwin.config import Method
from blogtwin.training import sizes
from blogtwin.training.sizes import Corpus

ALPHA = 32
NAMES = ("learning_rate", "epochs", "batch_size", "lora_r", "lora_alpha", "warm_up", "patience")
_GENTLE = 50  # times lower is the rate of dpo and kto
_GENTLE_STEPS = 100  # that these two take, about: the voice pays for each (docs/experiments.md)
_RATES = (1e-4, 6e-3)
_RANKS = (8, 64)
_BATCHES = (2, 16)
_MOST_EPOCHS = 4
_STATE = 16  # bytes for each number of an adapter: itself, its slope and AdamW's two averages, in float32
_FEW_POSTS, _FEW_WORDS = 20, 8_000


@dataclass(frozen=True)
class Choice:
    """One training setting: its name in config.py, its value, and why."""

    name: str
    value: float
    reason: str


def choose(
    corpus: Corpus, parameters: int, memory: int, method: Method, decided: Mapping[str, float], processes: int = 1
) -> tuple[Choice, ...]:
    """Every setting of this module that is not decided; those that are, others follow.

    parameters: of the base. memory: bytes, of the device that trains; 0: unknown. decided: by the user, by name.
    processes: that share each batch evenly.
    """
    batch = int(decided.get("batch_size", ceil(batch_size(corpus.examples, method) / processes) * processes))
    rounds = decided.get("epochs", epochs(corpus.examples, method))
    width = rank(corpus.tokens, parameters, memory)
    an_epoch = ceil(corpus.examples / batch)
    steps = max(1, ceil(an_epoch * rounds))
    rise = warm_up(steps)
    size = f"{parameters / 1e6:,.{0 if parameters >= 1e7 else 1}f} million"
    often = "the fewer there are, the oftener each is worth seeing" if rounds > 1 else "so many need no second look"
    holds = _told(sizes.adapter_parameters(parameters, width))
    bound = ", as far as the memory allows" if width < rank(corpus.tokens, parameters) else ""
    gentle = "; a 50th of that, because the twin can write already" if method != "sft" else ""
    choices = (
        Choice("learning_rate", rate(parameters, method), f"for a base of {size} parameters{gentle}"),
        Choice("epochs", rounds, f"for {corpus.examples:,} examples: {often}"),
        Choice("batch_size", batch, f"makes {an_epoch:,} steps an epoch: adapters learn best in many small steps"),
        Choice("lora_r", width, f"{holds} numbers for about {_told(corpus.tokens)} tokens{bound}"),
        Choice("lora_alpha", ALPHA, "the same at every rank, so that the learning rate suits them all"),
        Choice(
            "warm_up",
            rise,
            f"the rate rises over {ceil(steps * rise):,} of {steps:,} steps, while AdamW finds its scale",
        ),
        Choice("patience", patience(corpus.examples), "half-epochs without a gain; few examples leave more to chance"),
    )
    return tuple(choice for choice in choices if choice.name not in decided)


def rate(parameters: int, method: Method = "sft") -> float:
    """The peak rate of AdamW, two digits; dpo and kto move what was learned, and take a 50th of it.

    A tenth, as the field has it, moved too much: one epoch of dpo over 106 pairs and as much replay took the voice from 0.17 to
    -0.47, a 25th to -0.05 (intervals 0.5 wide), and both taught the reader's taste; over several turns a 25th, too, wore it out
    (docs/experiments.md).

    For a width of 2,000 ten times 5e-5, what Schulman et al. found for Llamas; for others in inverse proportion to the width,
    as AdamW wants it (Yang et al., 2022, arXiv:2203.03466). Schulman et al. fitted a power of 0.78 instead, which is too low
    for very small bases: half an epoch over 544 examples took the Llama of 3.5 million parameters from 133.5 to 103.5 at
    1e-3, 91.1 at 3e-3, 87.2 at 5e-3 and 85.2 at 8e-3. starter learned at 6e-3 and failed at 2e-2, hence the bound.
    """
    best = 5e-4 * 2000 / sizes.width(parameters)
    best = min(max(best, _RATES[0]), _RATES[1]) / (1 if method == "sft" else _GENTLE)
    digits = 1 - floor(log10(best))
    return round(best, digits)


def epochs(examples: int, method: Method = "sft") -> float:
    """From 4 for under 155 examples to 1 from 1,400 on, in halves; for dpo and kto 2 below 115, then 1.5, 1 from 160 on.

    It passes through 2 for 544 examples: measured there, 78.1 after one epoch, 70.8 after two and 70.7 after three. After half
    an epoch over 2,044 the held-out loss was still falling. Four at most: see Muennighoff et al.
    """
    if method == "sft":
        return min(max(round(2 * sqrt(2_200 / max(1, examples))) / 2, 1.0), float(_MOST_EPOCHS))
    return min(max(round(2 * _GENTLE_STEPS * _BATCHES[0] / max(1, examples)) / 2, 1.0), _MOST_EPOCHS / 2)


def batch_size(examples: int, method: Method = "sft") -> int:
    """2 up to some 4,000 examples, then the power of two that makes at least 1,000 steps an epoch; with dpo and kto 75.

    Measured: half an epoch over 544 examples at one rate led to 87.3 with 2 and 91.1 with 4, which takes half as many steps,
    and with 2 another blog's 2,044 examples gained as much. Above them steps are many already (unmeasured). Rows are
    computed one at a time, so memory sets no bound. kto compares answers within a batch and takes four at least.
    """
    found = _power_of_two(examples / (1_000 if method == "sft" else 0.75 * _GENTLE_STEPS))
    return min(max(found, 4 if method == "kto" else _BATCHES[0]), _BATCHES[1])


def rank(tokens: int, parameters: int, memory: int = 0) -> int:
    """The power of two at which the adapter holds twice what there is to learn, between 8 and 64.

    A token teaches about a bit (here the loss fell by 0.5 to 0.7 nats), and a number holds about two (Schulman et al.).
    16 is what was measured, and 8 is for what 16 would learn by heart (unmeasured). With its state the adapter takes at
    most a twentieth of the memory.
    """
    holds = 2 * sizes.adapter_parameters(parameters, 1)
    found = max(2 * _power_of_two(2 * tokens / holds), 16 if tokens >= 30_000 else 8)
    while memory and found > _RANKS[0] and _STATE * sizes.adapter_parameters(parameters, found) > memory / 20:
        found //= 2
    return min(max(found, _RANKS[0]), _RANKS[1])


def warm_up(steps: int) -> float:
    """The share of the steps over which the rate rises: ten steps, or 3% of a long run and 10% of a short one.

    5% of 444 steps was measured, and so was none else; an adapter starts from nothing, which is a warm-up by itself.
    """
    return round(min(max(10 / steps, 0.03), 0.1), 2)


def patience(examples: int) -> int:
    """Validations without a gain before the end; with two an epoch 3 is an epoch and a half, as measured here."""
    return 4 if examples < 100 else 3 if examples < 5_000 else 2


def too_small(corpus: Corpus, base_model: str) -> str | None:
    """A warning when there is too little to learn a voice from, with what helps. The bounds are rules of thumb (unmeasured)."""
    if corpus.posts >= _FEW_POSTS and corpus.words >= _FEW_WORDS:
        return None
    return (
        f"{corpus.posts:,} posts with about {corpus.words:,} words are little to learn a voice from (from {_FEW_POSTS} posts "
        f"and {_FEW_WORDS:,} words on it shows): add posts, letters or talks of yours, take in drafts (--drafts), or show a "
        f"larger model three of your posts in its prompt instead; with what there is, a smaller base than {base_model} and "
        "--lora-r 8 are learned by heart less easily"
    )


def _power_of_two(value: float) -> int:
    """The largest that is not above `value`; 1 at least."""
    return 1 << max(0, floor(value).bit_length() - 1)


def _told(count: int) -> str:
    """A count as people say it: 316 thousand, 11.3 million."""
    return f"{count / 1e6:,.1f} million" if count >= 950_000 else f"{max(1, round(count / 1e3)):,} thousand"
