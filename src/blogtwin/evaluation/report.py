"""eval_report.json: what an evaluation found, in a shape that other programs can rely on.

`schema_version` changes when a field is renamed, removed or measured in another way; new fields do not change it.
"""

from __future__ import annotations

from typing import Literal

from blogtwin.evaluation.privacy import Leaks
from blogtwin.evaluation.voice import Voice
from blogtwin.records import Record, Sampling


class PostLoss(Record):
    """One held-out post: nats lost on its answers by base and twin, and over how many tokens and words."""

    post_id: str
    base: float
    twin: float
    tokens: int
    words: int


class Sample(Record):
    """One prompt answered by base and twin. author: how the author's own post begins, where there is one."""

    prompt: str
    origin: Literal["held-out title", "test prompt"]
    seed: int
    base: str
    twin: str
    author: str | None


class Counts(Record):
    """What was measured."""

    examples: int  # held-out examples whose answers the perplexity is taken over
    posts: int  # held-out posts they come from
    answer_tokens: int
    answer_words: int
    cut: int  # answers shortened to the length the twin was trained with
    left_out: int  # examples whose prompt alone was too long
    prompts: int
    held_out_titles: int
    training_posts: int  # posts of the author's profile


class Report(Record):
    """Everything in eval_report.json. Perplexities are of answers alone, end marker included: lower is better.

    style_similarity_score: the voice score between 0 (sounds like the base model) and 1 (like the author), clipped to that
    range; `voice` has it raw, with its interval and its parts. None when base and author could not be told apart.
    average_bleu is from 0 to 100, rouge_l from 0 to 1; both compare the twin's answers with the author's posts.
    """

    schema_version: Literal[1] = 1
    model: str
    base_model: str
    runtime: str
    quantization: str
    perplexity: float
    perplexity_base: float
    perplexity_per_word: float
    perplexity_per_word_base: float
    style_similarity_score: float | None
    voice: Voice
    average_bleu: float
    average_bleu_base: float
    rouge_l: float
    rouge_l_base: float
    privacy: Leaks  # what the twin's answers say that is private
    counts: Counts
    seed: int
    sampling: Sampling  # of the answers; each has a seed of its own, given beside it
    losses: tuple[PostLoss, ...]
    sample_comparisons: tuple[Sample, ...]


def clipped(score: float | None) -> float | None:
    """A voice score for people: never below 0 or above 1, where differences are chance or a matter for the raw value."""
    return None if score is None else round(min(1.0, max(0.0, score)), 4)


def figures(report: Report) -> dict[str, float]:
    """The summary for the terminal and the manifest, in the order to show it."""
    voice = {"voice": report.voice.score, "voice_low": report.voice.low, "voice_high": report.voice.high}
    return {
        "perplexity_base": round(report.perplexity_base, 2),
        "perplexity": round(report.perplexity, 2),
        **{name: round(value, 2) for name, value in voice.items() if value is not None},
        "bleu": round(report.average_bleu, 2),
        "rouge_l": round(report.rouge_l, 3),
        "private_originals": sum(report.privacy.originals.values()),
        "private_looking": sum(report.privacy.unknown.values()),
        "prompts": report.counts.prompts,
        "held_out_posts": report.counts.posts,
    }
