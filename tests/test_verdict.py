"""Which to write with: decided by what is told apart by more than chance, and never by voice alone."""

from __future__ import annotations

import random

import pytest

from blogtwin.evaluation.copying import Source, copying
from blogtwin.evaluation.faults import Fault
from blogtwin.evaluation.relevance import relevance
from blogtwin.evaluation.verdict import Measure, Paired, Side, Voices, against, verdict
from blogtwin.evaluation.voice_pairs import holm, loss_pairs, voice_pairs
from evaluation_texts import assistant, post, prompt

NONE: dict[Side, tuple[str, ...]] = {"base": (), "twin": (), "few-shot": ()}


def pair(first: str, second: str, low: float, high: float, measure: Measure = "voice") -> Paired:
    middle = (low + high) / 2
    return Paired(
        measure=measure, first=first, second=second, difference=middle, low=low, high=high, p=None, prompts=12
    )


def test_a_twin_that_is_nearer_by_more_than_chance_is_used() -> None:
    pairs = [pair("twin", "few-shot", 0.1, 0.5), pair("twin", "base", 0.4, 0.9), pair("few-shot", "base", 0.1, 0.6)]
    told = verdict(Voices(0.65, (0.4, 0.9), 0.35), NONE, pairs)
    assert told.use == "twin"
    assert told.sentence.startswith("Write with the twin: it goes 65% of the way")
    assert "40% to 90%" in told.sentence
    assert (
        "voice of the twin minus that of the base model shown a few of your posts: +0.30 (+0.10 to +0.50)"
        in told.why[0]
    )


def test_prompting_wins_where_it_does() -> None:
    pairs = [pair("few-shot", "twin", 0.1, 0.5), pair("twin", "base", 0.1, 0.5), pair("few-shot", "base", 0.4, 0.9)]
    told = verdict(Voices(0.3, (0.1, 0.5), 0.6), NONE, pairs)
    assert told.use == "few-shot"
    assert told.sentence.startswith("Prompting wins")


def test_too_few_posts_is_a_verdict_of_its_own() -> None:
    pairs = [pair("twin", "few-shot", -0.2, 0.5), pair("twin", "base", -0.1, 0.9), pair("few-shot", "base", -0.1, 0.6)]
    told = verdict(Voices(0.5, (-0.1, 0.9), 0.3), NONE, pairs)
    assert told.use is None
    assert "cannot be told apart with so few posts" in told.sentence


@pytest.mark.parametrize(("low", "high", "use"), [(0.6, 0.8, "twin"), (1.1, 1.4, "few-shot"), (0.9, 1.2, None)])
def test_where_voice_cannot_tell_what_predicts_the_posts_better_decides(low: float, high: float, use: str) -> None:
    pairs = [
        pair("twin", "few-shot", -0.2, 0.5),
        pair("twin", "base", 0.1, 0.9),
        pair("few-shot", "base", 0.1, 0.6),
        pair("twin", "few-shot", low, high, "perplexity per word"),
    ]
    assert verdict(Voices(0.5, (0.1, 0.9), 0.3), NONE, pairs).use == use


def test_a_voice_that_cannot_be_told_from_the_base_is_said_before_the_advice() -> None:
    pairs = [
        pair("twin", "few-shot", -0.4, 0.2),
        pair("twin", "base", -0.4, 0.1),
        pair("few-shot", "base", -0.2, 0.1),
        pair("twin", "few-shot", 0.1, 0.3, "perplexity per word"),
    ]
    told = verdict(Voices(-0.1, (-0.4, 0.1), -0.01), NONE, pairs)
    assert told.use == "twin"
    assert told.sentence.startswith("The twin does not sound more like you than its base")
    assert "%" not in told.sentence


def test_a_twin_that_is_farther_from_the_author_than_its_base_is_not_used() -> None:
    told = verdict(Voices(-0.4, (-0.6, -0.2), None), {"base": (), "twin": ()}, [pair("twin", "base", -0.6, -0.2)])
    assert told.use == "base"


def test_a_parrot_is_not_praised_by_voice() -> None:
    posts = [post(number, seed=1) for number in range(10)]
    prompts = [prompt(number) for number in range(10)]
    found = copying(prompts, posts, [Source(str(number), f"Post {number}", text) for number, text in enumerate(posts)])
    relevant = relevance(prompts, posts, posts, posts, seed=7)
    objections = against(10, found, relevant, ())
    assert objections, "ten answers that are training posts must be objected to"
    pairs = [pair("twin", "base", 0.9, 1.1), pair("twin", "few-shot", 0.5, 0.9), pair("few-shot", "base", 0.2, 0.4)]
    told = verdict(Voices(1.0, (0.9, 1.1), 0.3), NONE | {"twin": objections}, pairs)
    assert told.use == "few-shot"
    assert told.sentence.startswith("Do not write with this twin yet")
    assert "repeat" in told.sentence
    assert told.against == {"twin": objections}
    worse: dict[Side, tuple[str, ...]] = {"base": ("b",), "twin": objections, "few-shot": ("f",)}
    assert verdict(Voices(1.0, (0.9, 1.1), 0.3), worse, pairs).use is None


def test_a_model_that_ignores_its_prompts_or_breaks_down_is_objected_to() -> None:
    prompts = [prompt(number) for number in range(12)]
    posts = [post(number, seed=1) for number in range(12)]
    elsewhere = [post(number + 5, seed=2) for number in range(12)]
    nothing = copying(prompts, elsewhere, [Source("1", "A", "Nothing of this."), Source("2", "B", "Nor of that.")])
    ignoring = relevance(prompts, elsewhere, posts, posts, seed=7)
    assert any("at random" in reason for reason in against(12, nothing, ignoring, ()))
    kept = relevance(prompts, posts, posts, posts, seed=7)
    loops = [Fault(answer=number, kind="looping", reason="") for number in range(4)]
    assert not against(12, nothing, kept, loops[:3])
    assert against(12, nothing, kept, loops) == ("of 12 answers are useless: 4 looping",)


def test_voices_of_the_same_prompts_are_compared_in_pairs() -> None:
    training = [post(number, seed=3) for number in range(12)]
    held_out = [post(number, seed=4) for number in range(10)]
    base = [assistant(number, seed=1) for number in range(10)]
    near = [post(number, seed=5) for number in range(10)]
    half = [f"{text[: len(text) // 2]}\n\n{other}" for text, other in zip(near, base, strict=True)]
    (found,) = voice_pairs(training, held_out, base, {"near": near, "half": half}, seed=7)
    assert (found.first, found.second) == ("near", "half")
    assert found.low is not None
    assert found.low > 0
    assert found.p is not None
    assert found.p < 0.01
    (same,) = voice_pairs(training, held_out, base, {"one": near, "other": near}, seed=7)
    assert same.difference == 0
    assert same.p == 1


def test_perplexities_are_compared_post_by_post() -> None:
    chance = random.Random(7)
    hard = [chance.uniform(100, 900) for _ in range(20)]  # posts differ much more than the models
    easier = [nats - chance.uniform(5, 25) for nats in hard]
    (found,) = loss_pairs({"twin": easier, "base": hard}, [100] * 20, seed=7)
    assert 0.8 < found.difference < 0.92  # exp(-0.15)
    assert found.high is not None
    assert found.high < 1
    assert found.p is not None
    assert found.p < 0.01


def test_holms_correction_is_what_it_is_by_hand() -> None:
    raw = [0.01, 0.04, 0.03]
    pairs = [pair("a", "b", 0, 1).model_copy(update={"p": p}) for p in raw]
    assert [one.p for one in holm(pairs)] == pytest.approx([0.03, 0.06, 0.06])
