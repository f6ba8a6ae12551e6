"""Reports for the tests of eval_report.html: measured over given texts by the real measures, as `evaluate` would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from blogtwin.evaluation.copying import Source, copying
from blogtwin.evaluation.diversity import diversity
from blogtwin.evaluation.faults import faults
from blogtwin.evaluation.judge import Preferred, Scores
from blogtwin.evaluation.language import expected_languages, wrong_language
from blogtwin.evaluation.length import length_match
from blogtwin.evaluation.overlap import overlap
from blogtwin.evaluation.privacy import leaks
from blogtwin.evaluation.quiz import YOU, Choice, Writer, summed
from blogtwin.evaluation.relevance import relevance
from blogtwin.evaluation.report import (
    Attributed,
    AuthorshipTest,
    Counts,
    FewShot,
    Judged,
    KindPerplexity,
    Lineage,
    Measures,
    Parity,
    PostLoss,
    Report,
    Sample,
    clipped,
)
from blogtwin.evaluation.structure import structure_match
from blogtwin.evaluation.style_diff import style_diff
from blogtwin.evaluation.unlike import unlike
from blogtwin.evaluation.verdict import Measure, Paired, Side, Verdict
from blogtwin.evaluation.voice import voice_score
from blogtwin.records import Sampling
from blogtwin.sources.language import detect
from evaluation_texts import assistant, post, prompt


@dataclass(frozen=True)
class Texts:
    """What is to be measured. posts: the author's own, None for a test prompt; few_shot: empty where it was not asked."""

    prompts: Sequence[str]
    posts: Sequence[str | None]
    training: Sequence[Source]
    base: Sequence[str]
    twin: Sequence[str]
    few_shot: Sequence[str] = ()

    @property
    def own(self) -> range:
        """Places of the held-out titles, which come first."""
        return range(sum(one is not None for one in self.posts))


def invented(titles: int, test_prompts: int = 0) -> Texts:
    """An author, an assistant that sounds like nobody, and a twin between the two."""
    training = [
        Source(f"{number}-{seed}", f"{prompt(number).split('“')[1][:-2]}, part {seed}", post(number, seed))
        for number in range(12)
        for seed in (1, 2)
    ]
    every = range(titles + test_prompts)
    return Texts(
        prompts=[f"{prompt(number)} {number}" for number in every],
        posts=[post(number, seed=4 + number // 12) if number < titles else None for number in every],
        training=training,
        base=[assistant(number, seed=2, sentences=8) for number in every],
        twin=[f"{assistant(number, 5, 1)}\n\n{post(number, 30 + number // 12, 12)}" for number in every],
        few_shot=[f"{assistant(number, 5, 3)}\n\n{post(number, 40 + number // 12, 6)}" for number in range(titles)],
    )


def measures(texts: Texts, answers: Sequence[str]) -> Measures:
    """One side's; of the few-shot base, which is asked the held-out titles only, there are fewer answers."""
    many, own = len(answers), texts.own
    prompts, posts = texts.prompts[:many], texts.posts[:many]
    training = [one.text for one in texts.training]
    held_out = [one for one in posts if one is not None]
    repetition = diversity({"one": answers})["one"]
    languages = wrong_language(answers, expected_languages(prompts, posts, training[:5], detect), detect)
    copied = copying(prompts, answers, texts.training)
    relevant = relevance(prompts, answers, posts, training, seed=7)
    return Measures(
        answers=many,
        overlap=overlap([answers[place] for place in own], held_out) if held_out else None,
        length=length_match([answers[place] for place in own], held_out) if held_out else None,
        structure=structure_match(answers, [*training, *held_out]),
        diversity=repetition,
        relevance=relevant,
        languages=languages,
        copying=copied,
        privacy=leaks(answers, {}),
        faults=faults(answers, repetition, languages, copied, relevant),
    )


def measured(texts: Texts, verdict: Verdict | None = None) -> Report:
    """A report with every part: what needs a model, an engine or people has numbers made up."""
    training = [one.text for one in texts.training]
    own = texts.own
    posts = [one for one in texts.posts if one is not None]
    base, mine = [texts.base[place] for place in own], [texts.twin[place] for place in own]
    voice = voice_score(training, posts, base, mine, seed=7)
    few_shot = measures(texts, texts.few_shot) if texts.few_shot else None
    twin, of_base = measures(texts, texts.twin), measures(texts, texts.base)
    assert twin.overlap is not None
    assert of_base.overlap is not None
    return Report(
        verdict=verdict or VERDICT,
        model="blogging-twin:latest",
        base_model="meta-llama/Llama-3.2-1B-Instruct",
        runtime="ollama",
        quantization="q8_0",
        style_similarity_score=clipped(voice.score),
        voice=voice,
        voice_few_shot=voice_score(training, posts, base, texts.few_shot, seed=7) if texts.few_shot else None,
        authorship=AUTHORSHIP,
        perplexity=14.213,
        perplexity_base=29.5,
        perplexity_few_shot=22.04,
        perplexity_per_word=61.83,
        perplexity_per_word_base=171.2,
        perplexity_per_word_few_shot=118.6,
        perplexity_by_kind={"topic": _kind(31, 180.2, 64.9, 125.0), "continuation": _kind(22, 149.0, 55.1, None)},
        average_bleu=twin.overlap.bleu,
        average_bleu_base=of_base.overlap.bleu,
        rouge_l=twin.overlap.rouge_l,
        rouge_l_base=of_base.overlap.rouge_l,
        twin=twin,
        base=of_base,
        few_shot=few_shot,
        few_shot_prompt=FewShot(posts=3, words=400, left_out=1) if few_shot else None,
        author_diversity=diversity({"author": posts})["author"],
        style_diff=style_diff(texts.twin, [*training, *posts], posts, texts.prompts),
        unlike=tuple(unlike(texts.prompts, texts.twin, texts.base, [*training, *posts])),
        parity=Parity(prompts=8, tokens=512, agreement=0.9941, near_ties=0.0039, excess_nats=0.0007, voice_difference=0.4),
        quiz=summed([_choice(number) for number in range(26)]),
        judge=Judged(
            model="qwen3:8b",
            scores={
                "twin": Scores(means={"relevance": 3.9, "coherence": 4.1}, judged=11, of=12),
                "base": Scores(means={"relevance": 4.4, "coherence": 3.2}, judged=12, of=12),
            },
            over_base=Preferred(first=8, second=2, undecided=2, unread=0, p=0.109),
            over_few_shot=None,
        ),
        lineage=LINEAGE,
        counts=Counts(
            examples=53,
            posts=len(posts),
            answer_tokens=31_412,
            answer_words=22_870,
            cut=4,
            left_out=1,
            prompts=len(texts.prompts),
            held_out_titles=len(posts),
            training_posts=len(training),
        ),
        seed=7,
        sampling=Sampling(temperature=0.8, top_p=0.95, top_k=40, min_p=0.0, repeat_penalty=1.0, seed=7, max_tokens=500),
        losses=tuple(PostLoss(post_id=f"p{place}", base=900, twin=700, tokens=300, words=210) for place in own),
        sample_comparisons=tuple(
            Sample(
                prompt=asked,
                origin="held-out title" if place in own else "test prompt",
                seed=1000 + place,
                base=texts.base[place],
                twin=texts.twin[place],
                author=texts.posts[place],
                few_shot=texts.few_shot[place] if place < len(texts.few_shot) else None,
                shown=("Short days", "First swarm", "Against the sealed battery") if place < len(texts.few_shot) else (),
            )
            for place, asked in enumerate(texts.prompts)
        ),
        remarks=tuple(voice.remarks),
    )  # fmt: skip


def _choice(number: int) -> Choice:
    """One round of the quiz: twenty pairs, then triples."""
    shown: tuple[Writer, ...] = ("author", "twin") if number < 20 else ("base", "author", "twin")
    return Choice(
        round=str(number),
        prompt=prompt(number),
        post_id=f"p{number}",
        passage=0,
        shown=shown,
        texts=dict.fromkeys(shown, "Nobody tells you about the clock."),
        whole=dict.fromkeys(shown, "0"),
        chosen=shown[number * 7 % 10 % len(shown)] if number != 19 else None,
        reader=YOU,
        model="blogging-twin:latest",
        version="9f2c",
        version_name=None,
        base="c4d5",
        seed=number,
        seconds=14.5,
        revealed=False,
        at=datetime(2026, 11, 20, 20, number, tzinfo=UTC),
    )


def bare(report: Report) -> Report:
    """The same with every part that may be missing left out."""
    voice = report.voice.model_copy(update={"score": None, "low": None, "high": None, "habits": (), "prompts": 0})
    side = {"overlap": None, "length": None}
    return report.model_copy(
        update={
            **dict.fromkeys(
                ("style_similarity_score", "voice_few_shot", "authorship", "perplexity", "perplexity_base"), None
            ),
            **dict.fromkeys(("perplexity_few_shot", "perplexity_per_word", "perplexity_per_word_base"), None),
            **dict.fromkeys(("perplexity_per_word_few_shot", "few_shot", "few_shot_prompt", "author_diversity"), None),
            **dict.fromkeys(("parity", "quiz", "judge"), None),
            "verdict": Verdict(sentence="it cannot be told which to use", use=None, why=(), against={}, comparisons=()),
            "voice": voice,
            "perplexity_by_kind": {},
            "twin": report.twin.model_copy(update=side),
            "base": report.base.model_copy(update=side),
            "style_diff": report.style_diff.model_copy(update={"over": (), "under": ()}),
            "unlike": (),
            "losses": (),
            "sample_comparisons": tuple(
                one.model_copy(update={"author": None, "few_shot": None, "shown": ()})
                for one in report.sample_comparisons
            ),
            "remarks": (),
        }
    )


def _kind(examples: int, base: float, twin: float, few_shot: float | None) -> KindPerplexity:
    """Perplexities a word, and a token's made up from them."""
    return KindPerplexity(
        examples=examples,
        base=base**0.7,
        twin=twin**0.7,
        few_shot=few_shot and few_shot**0.7,
        base_per_word=base,
        twin_per_word=twin,
        few_shot_per_word=few_shot,
    )


def _paired(measure: Measure, second: Side, difference: float, low: float, high: float) -> Paired:
    return Paired(
        measure=measure, first="twin", second=second, difference=difference, low=low, high=high, p=0.002, prompts=12
    )


VERDICT = Verdict(
    sentence="the twin sounds more like you than its base, shown three of your posts or not: write with the twin",
    use="twin",
    why=(
        "its voice is 0.31 nearer to yours than that of the base shown three posts (95% interval 0.12 to 0.49)",
        "it is less surprised by your held-out posts: 62 beside 119 for the base shown three posts",
    ),
    against={"base": ("its voice is the farthest from yours",)},
    comparisons=(
        _paired("voice", "few-shot", 0.31, 0.12, 0.49),
        _paired("voice", "base", 0.62, 0.44, 0.81),
        _paired("perplexity per word", "base", 0.361, 0.33, 0.4),
        _paired("perplexity per word", "few-shot", 0.52, 0.47, 0.58),
    ),
)

AUTHORSHIP = AuthorshipTest(
    imposters="other writers",
    writers=5,
    author=Attributed(probability=0.91, low=0.85, high=0.96, each=(0.9, 0.92)),
    twin=Attributed(probability=0.58, low=0.41, high=0.73, each=(0.5, 0.66)),
    few_shot=Attributed(probability=0.3, low=0.19, high=0.44, each=(0.2, 0.4)),
    base=Attributed(probability=0.04, low=0.01, high=0.09, each=(0.04, 0.04)),
)

LINEAGE = Lineage(
    version="blogging-twin:2026-11-20T1904",
    deployed_at="2026-11-20T19:04:11+00:00",
    model_hash="9f2c" * 16,
    adapter_hash="01ab" * 16,
    data_hash="77de" * 16,
    base_model="meta-llama/Llama-3.2-1B-Instruct",
    base_revision="9213176726f574b556790deb65791e0c5aa438b6",
    base_hash="c4d5" * 16,
    quantization="q8_0",
    method="sft",
    training_settings_hash="ee10" * 16,
    training_settings={"epochs": 3.0, "learning_rate": 0.0002, "lora_r": 16.0, "lora_alpha": 32.0},
    trained_on=412,
    parent=None,
    template="llama3",
    context_tokens=4096,
    blogtwin="0.1.0",
)
