"""How surprised twin, base and few-shot base are by held-out answers.

In: the adapter folder of a twin, its base, and what is known of the author. Out: Losses, and how much was cut to get them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blogtwin.adapter_folder import WEIGHTS, find_base
from blogtwin.base_hash import parameters
from blogtwin.chat_template import TEMPLATES
from blogtwin.config import Settings
from blogtwin.errors import NothingUsable
from blogtwin.evaluation.perplexity import HeldOut, Losses, answer_losses
from blogtwin.evaluation.words import words
from blogtwin.manifest import hash_file
from blogtwin.progress import Progress
from blogtwin.records import Example, Message
from blogtwin.runtimes.base import with_system
from blogtwin.stages.few_shot import shown
from blogtwin.stages.held_out import Material, spread
from blogtwin.stages.kept_losses import kept
from blogtwin.stages.served_twin import Served
from blogtwin.training.hardware import detect_hardware_platform
from blogtwin.training.precision import Precision
from blogtwin.training.rows import tokenized
from blogtwin.training.tokenizer import load as load_tokenizer

_CONTEXT = 2048  # tokens of a few-shot prompt with its answer; longer ones cost a processor minutes each
# Multiplications: about ten minutes of two processor cores. A base of a billion parameters gets 25 to 40 examples for it.
_WORK = 2e14
_FEWEST = 16  # examples


@dataclass(frozen=True)
class Measured:
    """losses: None where the adapter is not there any more.

    cut: answers shortened to the length the twin was trained with. left_out: examples whose prompt alone was too long.
    """

    losses: Losses | None
    cut: int
    left_out: int
    remarks: tuple[str, ...]


def losses(settings: Settings, served: Served, material: Material, progress: Progress) -> Measured:
    """Losses on at most `perplexity_examples` answers, from as many posts as can be.

    Raises ModelError (no base, or one that does not load) and NothingUsable.
    """
    adapter, card = Path(served.twin.adapter), served.card
    if served.twin.adapter_sha256 and hash_file(adapter / WEIGHTS) != served.twin.adapter_sha256:
        remark = f"no perplexity of {served.twin.name}: {adapter} has been trained again since it was deployed"
        return Measured(None, 0, 0, (remark,))
    base = find_base(adapter, card, settings.machine.offline, progress)
    tokenizer = load_tokenizer(adapter)
    answers: list[HeldOut] = []
    examples: list[Example] = []
    remarks: tuple[str, ...] = ()
    cut = left_out = 0
    for example in spread(material.held_out, settings.evaluation.perplexity_examples):
        # One at a time, so that each row is known to be this example's; cut as the training was.
        rows = tokenized([example], tokenizer, TEMPLATES[card.template], card.system, card.max_length)
        cut, left_out = cut + rows.cut, left_out + rows.left_out
        for row in rows.rows:
            text = tokenizer.decode(row.tokens[row.prompt :], skip_special_tokens=True)
            answers.append(HeldOut(example.post_id, row.tokens, row.prompt, len(words(text)), example.kind))
            examples.append(example)
    if not answers:
        raise NothingUsable(
            f"no held-out example fits into the {card.max_length} tokens that the twin was trained with",
            "train with a larger training.max_length, or shorten the instructions",
        )
    if settings.evaluation.few_shot_posts:
        answers = _behind_posts(settings, served, material, examples, answers, tokenizer)
        remarks = _without_room(answers)
    size = parameters(base)
    answers, fewer = _affordable(settings, answers, size)
    remarks += fewer
    bf16 = Precision.choose(size, detect_hardware_platform()).bf16
    found = kept(
        f"{card.base_hash} {hash_file(adapter / WEIGHTS)} {bf16}",
        f"{card.base_hash} {bf16}",
        answers,
        lambda known: answer_losses(base, adapter, answers, bf16, settings.machine.threads, progress, known),
    )
    return Measured(found, cut, left_out, remarks)


def _behind_posts(
    settings: Settings,
    served: Served,
    material: Material,
    examples: Sequence[Example],
    answers: Sequence[HeldOut],
    tokenizer: Any,
) -> list[HeldOut]:
    """The same answers, with the tokens of their questions behind real posts where there is room."""
    template, system = TEMPLATES[served.card.template], served.card.system
    context = min(_CONTEXT, served.twin.artifact.context_length)

    def tokens(messages: Sequence[Message]) -> list[int]:
        text = template.prompt(with_system(messages, system))
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    evaluation = settings.evaluation
    found = shown(
        [example.instruction for example in examples],
        material.training,
        evaluation.few_shot_posts,
        evaluation.few_shot_words,
        [context - len(answer.tokens) for answer in answers],
        lambda messages: len(tokens(messages)),
    )
    return [
        replace(answer, shown=[*tokens([*one.turns, *example.conversation("")[1:]]), *answer.tokens[answer.prompt :]])
        if one.turns
        else answer
        for answer, one, example in zip(answers, found, examples, strict=True)
    ]


def _without_room(answers: Sequence[HeldOut]) -> tuple[str, ...]:
    many = sum(answer.shown is None for answer in answers)
    if not many:
        return ()
    told = f"{many} of {len(answers)} held-out answers leave no room for posts before them"
    return (f"{told}: there the perplexity of the base shown posts is the base's own",)


def _affordable(settings: Settings, answers: list[HeldOut], parameters: int) -> tuple[list[HeldOut], tuple[str, ...]]:
    """As many answers as about ten minutes of a processor allow, unless the user said how many."""
    if ("evaluation", "perplexity_examples") in settings.given:
        return answers, ()
    done, many = 0.0, 0
    for answer in answers:
        done += 2.0 * parameters * (2 * len(answer.tokens) + len(answer.shown or ()))
        if many >= _FEWEST and done > _WORK:
            break
        many += 1
    if many == len(answers):
        return answers, ()
    remark = f"perplexity over {many} of {len(answers)} held-out examples, which a processor reads in about ten minutes"
    return answers[:many], (f"{remark}: set evaluation.perplexity_examples for more",)
