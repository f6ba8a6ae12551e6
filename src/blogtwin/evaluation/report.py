"""eval_report.json: what an evaluation found, in a shape that other programs can rely on.

`schema_version` changes when a field is renamed, removed or measured in another way; new fields do not change it. In version 2
the base shown three posts (few-shot) stands beside base and twin, and each side has all measures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from blogtwin.errors import InputError
from blogtwin.evaluation.copying import Copying
from blogtwin.evaluation.diversity import Diversity
from blogtwin.evaluation.faults import Fault
from blogtwin.evaluation.judge import Preferred, Scores
from blogtwin.evaluation.language import Languages
from blogtwin.evaluation.length import Length
from blogtwin.evaluation.overlap import Overlap
from blogtwin.evaluation.privacy import Leaks
from blogtwin.evaluation.quiz import QuizSummary
from blogtwin.evaluation.relevance import Relevance
from blogtwin.evaluation.structure import StructureMatch
from blogtwin.evaluation.style_diff import StyleDiff
from blogtwin.evaluation.unlike import Unlike
from blogtwin.evaluation.verdict import Side, Verdict
from blogtwin.evaluation.voice import Voice
from blogtwin.records import Record, Sampling

SCHEMA = 2


class PostLoss(Record):
    """One held-out post: nats lost on its answers by each side, and over how many tokens and words."""

    post_id: str
    base: float
    twin: float
    tokens: int
    words: int
    few_shot: float | None = None


class KindPerplexity(Record):
    """Perplexities on the held-out answers of one kind of example, a token and a word."""

    examples: int
    base: float
    twin: float
    few_shot: float | None
    base_per_word: float
    twin_per_word: float
    few_shot_per_word: float | None


class Attributed(Record):
    """How likely the author's the texts of one side are, by the authorship test: the mean, from 0 to 1.

    low, high: 95% bootstrap interval over the texts; None for fewer than two. each: the probability of every text, in order.
    """

    probability: float
    low: float | None
    high: float | None
    each: tuple[float, ...]


class AuthorshipTest(Record):
    """The author told from imposters, text by text. author: the held-out posts, which show what the test can tell at all.

    imposters: who they were; against the base's own answers the test says only that a text is not the base's, so that `base` is
    None. writers: how many imposters there were.
    """

    imposters: Literal["other writers", "the base model's answers"]
    writers: int
    author: Attributed
    twin: Attributed
    few_shot: Attributed | None
    base: Attributed | None


class Measures(Record):
    """One side's answers. Of a number of an answer: it is the place in `sample_comparisons`, counted from 0.

    For the few-shot base, which answers held-out titles alone, these are the first of the samples. overlap and length are beside
    the author's posts under the same titles; None where there were none.
    """

    answers: int
    overlap: Overlap | None
    length: Length | None
    structure: StructureMatch
    diversity: Diversity
    relevance: Relevance
    languages: Languages
    copying: Copying
    privacy: Leaks  # what the answers say that is private
    faults: tuple[Fault, ...]


class FewShot(Record):
    """How the base was prompted. words: of each post, at most. left_out: prompts that had no room for any."""

    posts: int
    words: int
    left_out: int


class Parity(Record):
    """What the deploy found when it compared the twin in service with its adapter, token by token; see ParityResult."""

    prompts: int
    tokens: int
    agreement: float
    near_ties: float
    excess_nats: float
    voice_difference: float | None = None


class Judged(Record):
    """A local model's opinion. scores: side → means from 1 to 5. over_few_shot, over_base: pairs that the twin (first) won."""

    model: str
    scores: dict[Side, Scores]
    over_base: Preferred | None
    over_few_shot: Preferred | None


class Lineage(Record):
    """What the twin is made of. Hashes are those of the deployment and of the adapter's card; settings those of its training."""

    version: str | None  # the dated name
    deployed_at: str | None
    model_hash: str
    adapter_hash: str | None
    data_hash: str
    base_model: str
    base_revision: str | None
    base_hash: str
    quantization: str
    method: str
    training_settings_hash: str
    training_settings: dict[str, float]
    trained_on: int  # examples
    parent: str | None
    template: str
    context_tokens: int
    blogtwin: str  # the version that evaluated


class Sample(Record):
    """One prompt answered by each side. author: how the author's own post begins, where there is one.

    shown: titles of the posts that the few-shot base was shown. few_shot: None where it was not asked.
    """

    prompt: str
    origin: Literal["held-out title", "test prompt"]
    seed: int
    base: str
    twin: str
    author: str | None
    few_shot: str | None = None
    shown: tuple[str, ...] = ()
    post_id: str | None = None


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
    answers_a_title: int = 1  # of each side, all for the voice; the first is in `sample_comparisons`
    training_posts: int  # posts of the author's profile


class Report(Record):
    """Everything in eval_report.json. Perplexities are of answers alone, end marker included: lower is better.

    style_similarity_score: the voice score between 0 (sounds like the base model) and 1 (like the author), clipped to that
    range; `voice` has it raw, with its interval and its parts. None when base and author could not be told apart.
    average_bleu is from 0 to 100, rouge_l from 0 to 1; both compare the twin's answers with the author's posts, and have the
    caveat in twin.overlap: they measure content, not voice.
    """

    schema_version: Literal[2] = 2
    verdict: Verdict
    model: str
    base_model: str
    runtime: str
    quantization: str
    style_similarity_score: float | None
    voice: Voice
    voice_few_shot: Voice | None
    authorship: AuthorshipTest | None  # None: too few posts; a remark says so
    perplexity: float | None  # None: it was not measured, as for a twin at an endpoint whose adapter is not here
    perplexity_base: float | None
    perplexity_few_shot: float | None
    perplexity_per_word: float | None
    perplexity_per_word_base: float | None
    perplexity_per_word_few_shot: float | None
    perplexity_by_kind: dict[str, KindPerplexity]
    average_bleu: float
    average_bleu_base: float
    rouge_l: float
    rouge_l_base: float
    twin: Measures
    base: Measures
    few_shot: Measures | None
    few_shot_prompt: FewShot | None
    author_diversity: Diversity | None  # of the held-out posts, to be beside the sides' own
    style_diff: StyleDiff  # the twin beside the author
    unlike: tuple[Unlike, ...]  # the twin's sentences that are least like the author, the least like first
    parity: Parity | None
    quiz: QuizSummary | None  # of this version of the twin
    judge: Judged | None
    lineage: Lineage
    counts: Counts
    seed: int
    sampling: Sampling  # of the answers; each has a seed of its own, given beside it
    losses: tuple[PostLoss, ...]
    sample_comparisons: tuple[Sample, ...]
    remarks: tuple[str, ...]


def clipped(score: float | None) -> float | None:
    """A voice score for people: never below 0 or above 1, where differences are chance or a matter for the raw value."""
    return None if score is None else round(min(1.0, max(0.0, score)), 4)


def read_report(path: Path) -> Report:
    """The report in `path`. Raises InputError when it is not there, of another version, or no report."""
    again = "make it with: blogtwin evaluate"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise InputError(f"{path} is not there", again) from fault
    except (UnicodeDecodeError, json.JSONDecodeError) as fault:
        raise InputError(f"{path} is no report: it is no JSON", again) from fault
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA:
        raise InputError(
            f"{path} has schema version {version}, and this blogtwin reads version {SCHEMA}",
            "measure the twin again with: blogtwin evaluate",
        )
    try:
        return Report.model_validate(raw)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path} is no whole report: {place}: {first['msg']}", again) from fault


def figures(report: Report) -> dict[str, float]:
    """The summary for the manifest, in the order to show it."""
    voice = {"voice": report.voice.score, "voice_low": report.voice.low, "voice_high": report.voice.high}
    if report.voice_few_shot:
        voice["voice_few_shot"] = report.voice_few_shot.score
    perplexities = {
        "perplexity_base": report.perplexity_base,
        "perplexity_few_shot": report.perplexity_few_shot,
        "perplexity": report.perplexity,
    }
    return {
        **{name: round(value, 2) for name, value in (perplexities | voice).items() if value is not None},
        "bleu": round(report.average_bleu, 2),
        "rouge_l": round(report.rouge_l, 3),
        "copied_answers": len(report.twin.copying.copied),
        "private_originals": sum(report.twin.privacy.originals.values()),
        "private_looking": sum(report.twin.privacy.unknown.values()),
        "prompts": report.counts.prompts,
        "held_out_posts": report.counts.posts,
    }
